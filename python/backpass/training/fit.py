"""fit: data, checked and lined up for a run."""

from collections.abc import Mapping
from typing import Any

from .. import checks
from ..data.feed import Feed
from ..data.inputs import Inputs
from ..data.order import Order
from ..data.streams import Streams
from ..data.targets import classes_of, target_of
from ..engine import advice
from ..engine.engine import Engine
from ..engine.history import History
from ..engine.inputs import check_weighed, checked_data, checked_validation
from ..engine.run import Run
from ..errors import NonFiniteError
from ..program.carried import Carried
from ..system.signals import held, opened
from .chunk import are_chunks, checked_chunk, comes_in_chunks, is_sequence_of_chunks, unpacked
from .chunks import ChunkLoop, Chunks
from .evaluate import Alike, better_of_evaluation, check_metrics, evaluated, evaluated_chunks, first_alike
from .fingerprint import NO_DATA, Fingerprint
from .loops import EpochLoop, Loop
from .parallel import ParallelLoop
from .resume import FitOptions
from .run import train
from .together import Together, check_trainable


class Validation:
    """Judges each epoch by data that are held out."""

    def __init__(self, engine: Engine, data: tuple[Any, ...] = (), chunks: Any = None) -> None:
        """data: checked inputs, targets and weights; or chunks: a sequence of such, read whenever they come."""
        self.engine, self.data, self.chunks = engine, data, chunks
        self.metrics = engine.metrics
        self.fingerprint, checked_chunks = NO_DATA, []
        if chunks is not None:
            checked_chunks = [
                checked_chunk(engine, f"validation_data[{i}]", chunk) for i, chunk in enumerate(chunks)
            ]
            self.fingerprint = Fingerprint.of(
                [item for chunk in checked_chunks for item in chunk], engine.dtype
            )
        elif data:
            checked_chunks = [data]
            self.fingerprint = Fingerprint.of(data, engine.dtype)
        better = {f"val_{name}": better for name, better in better_of_evaluation(engine).items()}
        self.listens = bool(data) or chunks is not None
        self.better = better if self.listens else {}
        first: Alike | None = None
        for number, (inputs, target, weight) in enumerate(checked_chunks):
            weighted = "" if weight is None else "sample_weight"
            check_metrics(engine, self.metrics, inputs, target_of(target), weighted)
            if self.metrics:
                first = first_alike(engine, f"validation_data[{number}]", inputs, first)

    def epoch_begins(self, epoch: int) -> None:
        pass

    def judge(self, epoch: int, logs: dict[str, float]) -> None:
        if self.chunks is not None:
            evaluation = opened(evaluated_chunks, self.engine, "validation_data", self.chunks, self.metrics)
        else:
            evaluation = opened(evaluated, self.engine, *self.data, self.metrics) if self.data else {}
        logs |= {f"val_{name}": value for name, value in evaluation.items()}

    def forgives(self, error: NonFiniteError) -> bool:
        return False

    def epoch_ends(self, epoch: int) -> bool:
        return False


@held()
def fit(
    engine: Engine, X: Any, y: Any, sample_weight: Any, class_weight: Any, options: FitOptions
) -> History:
    """What `Model.fit` does, after it has checked its other arguments."""
    engine.begin()
    X, y, sample_weight = unpacked("X", X, y, sample_weight)
    if options.ranks is not None:
        check_trainable(engine, X, y)
    if isinstance(X, Streams):
        options = of_streams(engine, X, options)
    if not options.resume:
        advice.of_schedule(engine.optimizer.schedule, int(engine.optimizer_step[0]))
    if comes_in_chunks(X, y):
        return _fit_chunks(engine, X, sample_weight, class_weight, options)
    inputs, target, weight = opened(checked_data, engine, X, y, sample_weight, class_weight)
    check_weighed(weight, sample_weight, class_weight)
    advice.of_targets(target, engine.builtin_loss)
    weighted = "sample_weight" if sample_weight is not None else "class_weight"
    check_metrics(engine, engine.metrics, inputs, target_of(target), "" if weight is None else weighted)
    if options.validation_split:
        (inputs, target, weight), held_out = split(inputs, target, weight, options.validation_split)
        for rows, of_them in (("trained on", weight), ("held out", held_out[2])):
            if of_them is not None and not of_them.any():
                raise ValueError(
                    f"validation_split is {options.validation_split}, but the rows that are {rows} all weigh 0"
                )
        validation = Validation(engine, held_out)
    else:
        validation = opened(_validation, engine, options.validation_data)
        _check_lengths(inputs, validation, options.validation_data)

    def loop(run: Run) -> Loop:
        feed = Feed.of(inputs, target, weight)
        order = Order(engine.backend, engine.seed, feed.index, run.shuffle)
        if run.sampler == checks.BY_LENGTH:
            if inputs.lengths is None:
                raise ValueError("group_by_length is True, but the rows of X have no lengths")
            order.group(inputs.lengths, run.batch_size)
        elif run.sampler:
            order.balance(classes_of(engine.builtin_loss, target))
        if together is not None:
            return ParallelLoop(engine, feed, run.batch_size, order, run.rows, together)
        if inputs.streams:
            run.carried = run.carried or Carried()
        return EpochLoop(engine, feed, run.batch_size, order, run.rows, run.carried)

    data = opened(Fingerprint.of, (inputs, target, weight), engine.dtype)
    together = None
    if options.ranks is None:
        return train(engine, loop, inputs.rows, data, options, validation)
    together = Together(engine, options.ranks, options, inputs, target, data, class_weight, validation)
    if together.apart and class_weight is not None and not isinstance(class_weight, Mapping):
        raise ValueError(
            f"class_weight is {class_weight!r:.80}, but each rank has rows of its own, expected a dict of numbers"
        )
    with together.training():
        return train(engine, loop, together.rows, together.data, together.options, together)


def of_streams(engine: Engine, streams: Streams, options: FitOptions) -> FitOptions:
    """The options of a run over Streams, whose batches come as they are."""
    refused: list[tuple[str, Any, str]] = [
        (*options.own_order, "None"),
        ("validation_split", options.validation_split or None, "validation_data=bp.Streams(...)"),
    ]
    for name, value, expected in refused:
        if value is not None:
            raise ValueError(f"{name} is {value!r:.80}, but X are Streams, expected {expected}")
    if options.batch_size not in (None, streams.batch):
        raise ValueError(f"batch_size is {options.batch_size!r}, but X are {streams!r}; leave it out")
    if engine.loss_function:
        raise ValueError("X are Streams, but the loss is a callable; expected one of nn, or nn.traced(f)")
    return options._replace(shuffle=False, batch_size=streams.batch)


def _fit_chunks(
    engine: Engine, source: Any, sample_weight: Any, class_weight: Any, options: FitOptions
) -> History:
    """What `fit` does where X is a sequence of chunks."""
    if not is_sequence_of_chunks(source):
        problem = f"X is a {type(source).__name__} and y is None"
        hint = "; of a loader give the arrays of its dataset" if hasattr(source, "__iter__") else ""
        raise TypeError(f"{problem}, expected y, or X with len() and [i]: a sequence of chunks (X, y){hint}")
    refused: list[tuple[str, Any, str]] = [
        ("sample_weight", sample_weight, "it in them, as (X, y, sample_weight)"),
        (*options.own_order, "None (class_weight serves for classes)"),
        ("validation_split", options.validation_split or None, "validation_data=(X, y)"),
    ]
    for name, value, expected in refused:
        if value is not None:
            raise ValueError(f"{name} is {value!r:.80}, but X are chunks, expected {expected}")
    if engine.loss_function:
        raise ValueError("X are chunks, but the loss is a callable; expected arrays, or memory maps")
    chunks = opened(Chunks, engine, source, class_weight)
    weighted = "class_weight" if class_weight is not None else "sample_weight"
    check_metrics(engine, engine.metrics, chunks.inputs, chunks.target, weighted if chunks.weighted else "")
    validation = opened(_validation, engine, options.validation_data)
    return train(
        engine,
        lambda run: ChunkLoop(engine, chunks, run),
        sum(chunks.sizes),
        chunks.fingerprint,
        options,
        validation,
    )


def _check_lengths(inputs: Inputs, validation: Validation, given: Any) -> None:
    """ValueError where rows have lengths but those to validate with have none, as their steps would all count."""
    if not validation.data or validation.data[0].lengths is not None or inputs.lengths is None:
        return
    # A list of arrays has lengths where they differ.
    if not isinstance(given[0], list):
        raise ValueError(
            "validation_data has no lengths, but X has: expected (X, y, sample_weight, lengths), where sample_weight may be"
            " None, or X as a dict that holds 'lengths'"
        )


def _validation(engine: Engine, data: Any) -> Validation:
    if hasattr(data, "tensors"):
        data = unpacked("validation_data", data, None, None)
    # ((a, b), (y, z)) are the inputs of a network that takes two, and its targets.
    one = isinstance(data, tuple) and len(engine.net.takes) > 1
    if (are_chunks(data) and not one) or (is_sequence_of_chunks(data) and not isinstance(data, tuple | list)):
        return Validation(engine, chunks=data)
    return Validation(engine, checked_validation(engine, data))


def rows_held_out(rows: int, fraction: float) -> int:
    """How many of so many rows `validation_split` holds out."""
    return int(rows * fraction)


def split(
    inputs: Inputs, target: Any, weight: Any, fraction: float
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The first rows to train on, and the last `fraction` of them to validate with, as in Keras."""
    held_out = rows_held_out(inputs.rows, fraction)
    trained = inputs.rows - held_out
    if not held_out or not trained:
        raise ValueError(
            f"validation_split is {fraction}, which of {inputs.rows} rows leaves {trained} to train on and {held_out} to validate"
        )
    parts = [
        (inputs.part(rows), target[rows], None if weight is None else weight[rows])
        for rows in (slice(0, trained), slice(trained, inputs.rows))
    ]
    return parts[0], parts[1]
