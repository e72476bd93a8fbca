"""The loss, the metrics, the classes and the score of a model's predictions."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import arrays
from ..data.inputs import Inputs
from ..data.targets import row_weights, target_of
from ..engine.engine import Engine
from ..engine.inputs import check_weighed, checked_data, taken
from ..engine.own_loss import call_loss
from ..engine.passes import predict_inputs, rows_as_they_are
from ..losses.base import ClassLoss, Loss
from ..ops.formulas import sigmoid
from ..program import Builder, InputSpec, Rows, Several, Target, Tensor
from .chunk import checked_chunk, comes_in_chunks, is_sequence_of_chunks, prefetch, unpacked
from .measured import Seen, measured, tensors

if TYPE_CHECKING:
    from ..metrics import Metrics

# A chunk by its name, and the shape of a row of its output.
Alike = tuple[str, Any]


def evaluated(
    engine: Engine,
    inputs: Inputs,
    target: Rows,
    weight: np.ndarray | None = None,
    metrics: "Metrics | None" = None,
) -> dict[str, float]:
    """Loss and metrics of checked data; of several outputs the sum of their losses, and each one's as well."""
    counted, seen = _counted(engine, inputs, target, weight)
    found = {key: value for key, (value, _) in counted.items()}
    return found | (measured(engine, metrics, inputs.specs(1, engine.dtype), seen) if metrics else {})


def better_of_evaluation(engine: Engine) -> dict[str, str]:
    """The names of what `evaluated` gives with the engine's metrics, and what is better of each: "min", "max", "" if unknown."""
    found = {"loss": "min"}
    if loss := engine.builtin_loss:
        found |= {loss.metric: "max"} if loss.metric else {}
        for prefix, _, one in loss.of_outputs():
            found |= {f"{prefix}_loss": "min"}
            found |= {f"{prefix}_{one.metric}": "max"} if one.metric else {}
    return found | (engine.metrics.better if engine.metrics else {})


def check_metrics(
    engine: Engine, metrics: "Metrics | None", inputs: Inputs, target: Target, weighted: str
) -> None:
    """ValueError where metrics do not fit checked data. weighted: the argument that weighs the rows, "" for none."""
    if metrics:
        specs = inputs.specs(1, engine.dtype)
        output, along = engine.plans.output_shape(specs), engine.plans.outputs_along(specs)
        metrics.check(output, along, target, weighted, inputs.lengths is not None)


def first_alike(engine: Engine, name: str, inputs: Inputs, first: Alike | None) -> Alike:
    """The first of several chunks whose metrics are computed together; ValueError where this one's rows have another shape."""
    shape = engine.plans.output_shape(inputs.specs(1, engine.dtype))
    if first and shape != first[1]:
        raise ValueError(
            f"{name}: a row of the network's output is {shape!r}, expected {first[1]!r} as of {first[0]}: metrics are computed"
            " of all chunks together"
        )
    return first or (name, shape)


def _counted(
    engine: Engine, inputs: Inputs, target: Rows, weight: np.ndarray | None
) -> tuple[dict[str, tuple[float, float]], Seen]:
    """Losses and accuracies, each with what it counts in a mean over several data sets; and what they were computed from."""
    engine.refresh()
    lengths: dict[int, np.ndarray] = {}
    seen = Seen(predict_inputs(engine, inputs, lengths), target, weight, lengths)
    pred = seen.pred
    if engine.loss_function:
        return {"loss": (call_loss(engine, pred, target)[0], float(inputs.rows))}, seen
    tensor = tensors(engine, inputs.specs(1, engine.dtype), seen)
    found = _judged(engine, engine.loss, tensor, target, weight, lengths)
    for prefix, name, loss in engine.loss.of_outputs():
        assert isinstance(tensor, Several)
        assert isinstance(target, Several)
        of_one = _judged(engine, loss, tensor.parts[name], target.parts[name], weight, lengths)
        found |= {f"{prefix}_{key}": value for key, value in of_one.items()}
    return found, seen


def _judged(
    engine: Engine,
    loss: Loss,
    tensor: Any,
    target: Rows,
    weight: np.ndarray | None,
    lengths: dict[int, np.ndarray],
) -> dict[str, tuple[float, float]]:
    """Loss and metric of one output, or the loss of all together; each with what it counts."""
    told = {steps: Tensor(array) for steps, array in lengths.items()}
    builder = Builder(engine.dtype, training=False, lengths_by_steps=told)
    weight = loss.weigh(builder, tensor, target, weight)
    value, count = loss.emit(builder, tensor, target, weight)  # type: ignore[arg-type]
    right = np.zeros(2)
    loss.emit_metric(builder, tensor, target, weight, right)  # type: ignore[arg-type]
    engine.backend.compile(builder.instructions).run(1, engine.threads)
    found = {"loss": (float(value.array[0]), float(count.array[0]))}
    if loss.metric:
        found[loss.metric] = float(right[0] / right[1]) if right[1] else 0.0, float(right[1])
    return found


def evaluate(engine: Engine, X: Any, y: Any, sample_weight: Any, metrics: Any = None) -> dict[str, float]:
    """What `Model.evaluate` does: of arrays, or of a sequence of chunks. metrics: default None, those of the model."""
    watched = engine.metrics if metrics is None else engine.chosen_metrics(metrics)
    X, y, sample_weight = unpacked("X", X, y, sample_weight)
    if comes_in_chunks(X, y):
        if sample_weight is not None:
            raise ValueError(
                f"sample_weight is {sample_weight!r:.80}, but X are chunks, expected it in them, as (X, y, sample_weight)"
            )
        return evaluated_chunks(engine, "X", X, watched)
    inputs, target, weight = checked_data(engine, X, y, sample_weight, take=arrays.readable)
    check_weighed(weight, sample_weight, None)
    check_metrics(engine, watched, inputs, target_of(target), "" if weight is None else "sample_weight")
    return evaluated(engine, inputs, target, weight, watched)


def evaluated_chunks(
    engine: Engine, name: str, chunks: Any, metrics: "Metrics | None" = None
) -> dict[str, float]:
    """Loss and accuracy over all chunks, each weighed by the targets that count in it; metrics of all their rows together."""
    if not is_sequence_of_chunks(chunks) or not len(chunks):
        raise TypeError(
            f"{name} is a {type(chunks).__name__} and y is None, expected y, or a sequence of chunks (X, y)"
        )
    if engine.loss_function:
        raise ValueError(f"{name} are chunks, but the loss is a callable; expected arrays, or memory maps")
    results: list[dict[str, tuple[float, float]]] = []
    rows: list[Seen] = []
    # Of a chunk whose rows metrics are computed from, one that has lengths if there is one.
    specs: tuple[InputSpec, ...] = ()
    first: Alike | None = None
    for number in range(len(chunks)):
        prefetch(chunks, number + 1)
        inputs, target, weight = checked_chunk(engine, f"{name}[{number}]", chunks[number])
        if weight is None or weight.any():
            check_metrics(
                engine, metrics, inputs, target_of(target), "" if weight is None else "sample_weight"
            )
            if metrics:
                first = first_alike(engine, f"{name}[{number}]", inputs, first)
                specs = inputs.specs(1, engine.dtype) if inputs.lengths is not None or not specs else specs
            result, seen = _counted(engine, inputs, target, weight)
            results.append(result)
            rows += [seen] if metrics else []
    if not results:
        raise ValueError(
            f"sample_weight is 0 everywhere in all chunks of {name}, expected at least one row that counts"
        )
    found = {key: _mean([result[key] for result in results]) for key in results[0]}
    if outputs := engine.loss.of_outputs():
        weights = engine.loss.weights
        found["loss"] = sum(weights[name] * found[f"{prefix}_loss"] for prefix, name, _ in outputs)
    return found | (measured(engine, metrics, specs, Seen.joined(rows)) if metrics else {})


def _mean(counted: list[tuple[float, float]]) -> float:
    """The mean of numbers by what each counts; 0 where none does."""
    total = sum(count for _, count in counted)
    return sum(value * count for value, count in counted) / total if total else 0.0


def probabilities(engine: Engine, pred: Any) -> np.ndarray:
    """Probabilities of the classes for the network's output."""
    if isinstance(pred, tuple | dict):
        raise RuntimeError(f"the network has {len(pred)} outputs: predict(X) gives them")
    kind = engine.builtin_loss.wants if engine.builtin_loss else ""
    if kind == "log probabilities":
        return np.asarray(np.exp(pred))
    if kind != "logits":
        raise RuntimeError(
            f"the loss is {engine.loss_function or engine.loss!r}, which is not one of classes: predict(X) gives its numbers"
        )
    if isinstance(engine.builtin_loss, ClassLoss):
        shifted = np.exp(pred - pred.max(axis=-1, keepdims=True, initial=-np.inf))
        return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
    positive = np.asarray(sigmoid(pred))
    return np.concatenate([1 - positive, positive], axis=1) if positive.shape[1:] == (1,) else positive


def classes(engine: Engine, pred: Any) -> np.ndarray:
    """The most probable classes for the network's output."""
    likely = probabilities(engine, pred)
    return np.asarray(likely.argmax(axis=-1) if one_is_right(engine, pred) else likely > 0.5).astype(np.int64)


def one_is_right(engine: Engine, pred: Any) -> bool:
    """Whether one of the classes is the right one, rather than any number of several labels."""
    return isinstance(engine.builtin_loss, ClassLoss) or pred.shape[1:] == (1,)


def score(
    engine: Engine, X: Any, y: Any, sample_weight: Any, evaluation: Callable[..., dict[str, float]]
) -> float:
    """Accuracy where the targets are classes, else the mean over the outputs of R² = 1 - Σ w (y - pred)² / Σ w (y - mean)²."""
    if engine.builtin_loss is None:
        raise RuntimeError(
            "score needs to know what the network predicts, but the loss is a callable: score predict(X)"
        )
    if engine.builtin_loss.metric:
        return evaluation(X, y, sample_weight)[engine.builtin_loss.metric]
    engine.refresh()
    inputs = taken(engine, X, rows_as_they_are)
    lengths: dict[int, np.ndarray] = {}
    out = predict_inputs(engine, inputs, lengths)
    if isinstance(out, Several):
        raise RuntimeError(
            f"the network has {len(out.parts)} outputs, expected one: evaluate(X, y) gives the loss of each"
        )
    pred = out.astype(np.float64)
    target = arrays.as_array("y", y).astype(np.float64)
    if target.ndim == 1 and pred.shape[1:] == (1,):
        target = target[:, None]
    if target.shape != pred.shape:
        raise ValueError(f"y has shape {target.shape}, expected {pred.shape} like the network's output")
    checked_weight = row_weights(
        sample_weight, None, target.reshape(len(target), -1), np.dtype(np.float64), 1, ()
    )
    check_weighed(checked_weight, sample_weight, None)
    weight = np.ones(len(target)) if checked_weight is None else checked_weight
    each = np.broadcast_to(weight.reshape(-1, *[1] * (target.ndim - 1)), target.shape)
    if lengths:
        tensor = Tensor(pred, along=engine.plans.along(inputs.specs(1, engine.dtype)))
        along = engine.loss.steps_along(tensor, target)
        if along:
            counted = np.arange(target.shape[along]) < lengths[target.shape[along]][:, None]
            sizes = [len(target), *[1] * (target.ndim - 1)]
            sizes[along] = target.shape[along]
            each = each * counted.reshape(sizes)
    from ..metrics.numbers import r2_of

    rows, expected, each = (array.reshape(len(pred), -1) for array in (pred, target, each))
    return r2_of(rows, expected, each)
