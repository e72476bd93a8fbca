"""The run that `fit` makes: a new one, or the interrupted one that it finishes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from ..callbacks import Callback
from ..checks import BY_LENGTH, is_whole
from ..engine.engine import Engine
from ..engine.run import Run
from ..errors import warn
from .fingerprint import Fingerprint
from .ranks import Ranks


class FitOptions(NamedTuple):
    """The arguments of one `fit`, besides the data. model: what callbacks see as `self.model`."""

    model: Any
    epochs: int
    batch_size: int | None = None
    validation_data: Any = None
    validation_split: float = 0.0
    shuffle: bool = True
    sampler: str | None = None
    drop_last: bool = False
    callbacks: Sequence[Callback] = ()
    progress: Literal["", "bar", "lines"] = ""
    resume: bool = False
    max_seconds: float | None = None
    # That train together; None: this process alone.
    ranks: Ranks | None = None

    @property
    def own_order(self) -> tuple[str, Any]:
        """The argument that asked for an order of its own, and its value; None where none did."""
        by_length = self.sampler == BY_LENGTH
        return ("group_by_length", True) if by_length else ("sampler", self.sampler)


def begin(
    engine: Engine, options: FitOptions, rows: int, data: Fingerprint, validation: Fingerprint
) -> tuple[Run, Run | None]:
    """The run that `fit` is to make, and the interrupted one that it finishes, if it does. rows: that the data have."""
    interrupted, sampler = engine.last_run, options.sampler or ""
    if interrupted is not None and interrupted.going_on:
        raise RuntimeError(
            "fit was called while another fit of this model goes on, by one of its callbacks or its loss"
        )
    run = Run(engine.epoch, rows, 0, options.shuffle, sampler, data.full, validation.full, options.epochs)
    if interrupted is None or not options.resume:
        run.batch_size = checked_batch_size(options.batch_size, rows)
        run.rows = rows_of_epoch(rows, run.batch_size, options.drop_last)
        return run, None
    if not data.is_of(interrupted.data):
        raise ValueError(
            "resume is True, but X, y, sample_weight or class_weight are not those of the interrupted run"
        )
    if not validation.is_of(interrupted.validation):
        raise ValueError("resume is True, but validation_data are not those of the interrupted run")
    if (
        options.batch_size is not None
        and checked_batch_size(options.batch_size, rows) != interrupted.batch_size
    ):
        raise ValueError(
            f"batch_size is {options.batch_size}, but in the interrupted run it was {interrupted.batch_size}; leave it out"
        )
    if interrupted.rows not in (rows, rows_of_epoch(rows, interrupted.batch_size, True)):
        raise ValueError(
            f"resume is True, but the epochs of the interrupted run had {interrupted.rows} rows, and X has {rows}"
        )
    if options.drop_last and interrupted.rows == rows and rows % interrupted.batch_size:
        raise ValueError("drop_last is True, but in the interrupted run it was False; leave it out")
    if interrupted.shuffle and not options.shuffle:
        raise ValueError("shuffle is False, but in the interrupted run it was True; leave it out")
    if sampler and sampler != interrupted.sampler:
        (name, value), had = options.own_order, "another" if interrupted.sampler else "none"
        raise ValueError(f"{name} is {value!r}, but the interrupted run had {had}; leave it out")
    if interrupted.position.rows and interrupted.steps != int(engine.step_count[0]):
        raise ValueError(
            "resume is True, but the model made other steps since the run was interrupted within an epoch"
        )
    run.first, run.rows, run.batch_size, run.shuffle, run.sampler = (
        interrupted.first, interrupted.rows, interrupted.batch_size, interrupted.shuffle, interrupted.sampler,
    )  # fmt: skip
    run.resumed = True
    run.outputs = interrupted.outputs
    run.carried = interrupted.carried and interrupted.carried.copy()
    run.position, run.steps, run.stopped, run.history = (
        interrupted.position,
        interrupted.steps,
        interrupted.stopped,
        interrupted.history.copy(),
    )
    return run, interrupted


def checked_batch_size(batch_size: int | None, rows: int) -> int:
    """The rows of a step, at most all."""
    if batch_size is None:
        return min(32, rows)
    if not is_whole(batch_size) or batch_size < 1:
        raise ValueError(f"batch_size is {batch_size!r}, expected an integer of at least 1")
    if batch_size > rows:
        warn(f"batch_size is {batch_size}, but X has only {rows} rows; a step takes all of them")
    return min(int(batch_size), rows)


def rows_of_epoch(rows: int, batch_size: int, drop_last: bool) -> int:
    """The rows that an epoch takes: without drop_last all of them."""
    return rows - rows % batch_size if drop_last else rows


def carry_on(interrupted: Run, callbacks: Sequence[Callback]) -> None:
    """Hand each callback the state of the interrupted run's callback of the same class, the first to the first and so on."""
    states = dict(
        _numbered([name for name, _ in interrupted.states], [state for _, state in interrupted.states])
    )
    for key, callback in _numbered([type(c).__name__ for c in callbacks], callbacks):
        state = states.pop(key, None)
        if state:
            try:
                callback.load_state_dict(state)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise ValueError(f"resume is True, but {key[0]} cannot go on: {error}") from None
    if missing := [name for (name, _), state in states.items() if state]:
        warn(f"the interrupted run had {', '.join(missing)} among its callbacks; it goes on without")


def _numbered(names: Sequence[str], values: Sequence[Any]) -> Iterator[tuple[tuple[str, int], Any]]:
    """Values by name, and by how many of the same name came before."""
    seen: Counter[str] = Counter()
    for name, value in zip(names, values, strict=True):
        yield (name, seen[name]), value
        seen[name] += 1
