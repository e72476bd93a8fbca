"""Run: one `fit` from its first epoch to where it stands. Checkpoints carry it on, and `fit(resume=True)` finishes it."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .callbacks import Callback
from .callbacks.telling import own, tell
from .checks import is_whole
from .data import quiet_cast
from .history import History

if TYPE_CHECKING:
    from .model import Model

SAMPLED = 64  # rows that tell one data set from another


@dataclass
class Asked:
    """The arguments of one `fit`, besides the data."""

    epochs: int
    batch_size: int | None
    validation_data: Any
    shuffle: bool
    sampler: str | None
    callbacks: Sequence[Callback]
    progress: bool
    resume: bool
    max_seconds: float | None


class Position(NamedTuple):
    """Where in an epoch a run stands."""

    rows: int = 0  # that it has seen
    total: float = 0.0  # Σ loss · weight of their batches
    weight: float = 0.0

    @property
    def loss(self) -> float:
        """The mean loss of these rows."""
        return self.total / self.weight if self.weight else 0.0


@dataclass
class Run:
    """What a run was asked to do, and how far it has come. Between epochs `at` is the start of the next one."""

    first: int  # the model's epoch where it began
    rows: int
    batch_size: int
    shuffle: bool
    sampler: str  # "" for none
    data: str  # fingerprints
    validation: str
    epochs: int = 0
    at: Position = field(default_factory=Position)
    steps: int = 0  # the model's step count there
    stopped: bool = False  # by a callback: it is over, whatever `epochs` says
    history: History = field(default_factory=History)
    states: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # of the callbacks, by class name
    watchers: Sequence[Callback] = ()  # the callbacks themselves, while it goes on
    going_on: bool = False
    resumed: bool = False
    broken: bool = False  # by an exception
    where: Callable[[], Position] | None = None  # within an epoch: how much of it is done, at any moment
    before: int = 0  # the model's steps before this epoch

    @property
    def steps_done(self) -> int:
        """Of the epoch in progress."""
        return -(-self.at.rows // self.batch_size)

    def enter(self, where: Callable[[], Position], steps: int) -> None:
        """An epoch begins, or goes on from `at`, when the model has made so many steps."""
        self.where, self.before = where, steps - self.steps_done

    def look(self) -> None:
        """Note where it stands."""
        if self.where is not None:
            self.at = self.where()
            self.steps = self.before + self.steps_done

    def end(self, stopped: bool) -> None:
        """Keep where it stands and the callbacks' states as they are now, and no callback alive."""
        self.look()
        self.where, self.going_on = None, False
        watchers, self.watchers, self.stopped = self.watchers, (), stopped
        if watchers:
            self.states = [
                (type(w).__name__, state() if (state := own(w, "state_dict")) else {}) for w in watchers
            ]

    def as_it_stands(self, stopped: bool) -> "Run":
        """A copy of a run that may still go on."""
        run = replace(self, history=self.history.copy())
        run.end(stopped or self.stopped)
        return run


def begin(
    model: "Model", asked: Asked, rows: int, data: str, validation: Sequence[Any]
) -> tuple[Run, Run | None]:
    """The run that `fit` is to make of the model's last one; with that one, if its callbacks go on. data: the fingerprint."""
    last, batch_size, sampler = model.last_run, asked.batch_size, asked.sampler or ""
    if last is not None and last.going_on:
        raise RuntimeError(
            "fit was called while another fit of this model goes on, by one of its callbacks or its loss"
        )
    run = Run(
        model.epoch, rows, 0, asked.shuffle, sampler, data, fingerprint(validation, model.dtype), asked.epochs
    )
    if last is None or not asked.resume:
        run.batch_size = checked_batch_size(batch_size, rows)
        goes_on = (
            last is not None
            and not last.stopped
            and (last.data, last.validation) == (run.data, run.validation)
        )
        return run, last if goes_on else None
    if last.data != run.data:
        raise ValueError(
            "resume is True, but X, y, sample_weight or class_weight are not those of the interrupted run"
        )
    if last.validation != run.validation:
        raise ValueError("resume is True, but validation_data are not those of the interrupted run")
    if batch_size is not None and checked_batch_size(batch_size, rows) != last.batch_size:
        raise ValueError(
            f"batch_size is {batch_size}, but in the interrupted run it was {last.batch_size}; leave it out"
        )
    if last.shuffle and not asked.shuffle:
        raise ValueError("shuffle is False, but in the interrupted run it was True; leave it out")
    if sampler and sampler != last.sampler:
        raise ValueError(f"sampler is {sampler!r}, but the interrupted run had none; leave it out")
    if last.at.rows and last.steps != int(model.step_count[0]):
        raise ValueError(
            "resume is True, but the model made other steps since the run was interrupted within an epoch"
        )
    run.first, run.batch_size, run.shuffle, run.sampler = (
        last.first,
        last.batch_size,
        last.shuffle,
        last.sampler,
    )
    run.resumed = True
    run.at, run.steps, run.stopped, run.history = last.at, last.steps, last.stopped, last.history.copy()
    return run, last


def checked_batch_size(batch_size: int | None, rows: int) -> int:
    """The rows of a step."""
    if batch_size is None:
        return min(32, rows)
    if not is_whole(batch_size) or batch_size < 1:
        raise ValueError(f"batch_size is {batch_size!r}, expected an integer of at least 1")
    if batch_size > rows:
        raise ValueError(f"batch_size is {batch_size}, but X has only {rows} rows; expected at most {rows}")
    return int(batch_size)


def carry_on(last: Run, watchers: Sequence[Callback], resumed: bool) -> None:
    """Hand each callback the state of the last run's callback of the same class, the first to the first and so on."""
    states = dict(_numbered([name for name, _ in last.states], [state for _, state in last.states]))
    given = _numbered([type(w).__name__ for w in watchers], watchers)
    for key, watcher in given:
        state = states.pop(key, None)
        if state:
            try:
                watcher.load_state_dict(state)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                if resumed:
                    raise ValueError(f"resume is True, but {key[0]} cannot go on: {error}") from None
                tell(watcher, "on_train_begin", {})  # afresh: it may have taken a part of what does not fit
    if resumed and (missing := [name for (name, _), state in states.items() if state]):
        warnings.warn(
            f"the interrupted run had {', '.join(missing)} among its callbacks; it goes on without",
            stacklevel=5,
        )


def fingerprint(arrays: Sequence[Any], dtype: Any) -> str:
    """What tells data sets apart at little cost: shapes, dtypes, and some rows spread over all.

    dtype: the model's, in which the first array, X, counts, whatever it is stored in.
    """
    if not arrays:
        return ""
    import hashlib  # here: `import backpass` is to be quick

    digest = hashlib.sha256()
    for number, array in enumerate(arrays):
        if array is None:
            digest.update(b"none")
            continue
        spread = np.unique(np.linspace(0, len(array) - 1, min(len(array), SAMPLED)).astype(np.int64))
        rows = quiet_cast(array[spread], dtype) if number == 0 else array[spread]
        digest.update(f"{array.shape}{rows.dtype}".encode())
        if rows.dtype != object:
            digest.update(np.ascontiguousarray(rows).tobytes())
    return digest.hexdigest()


def _numbered(names: Sequence[str], values: Sequence[Any]) -> Iterator[tuple[tuple[str, int], Any]]:
    seen: Counter[str] = Counter()
    for name, value in zip(names, values, strict=True):
        yield (name, seen[name]), value
        seen[name] += 1
