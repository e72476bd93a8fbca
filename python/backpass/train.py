"""The training loop: one program call for many steps; Python only between slices of about 50 ms."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from . import batches, data
from .backends import Executor
from .callbacks import Callback, ModelCheckpoint, ProgressBar, TerminateOnNaN
from .errors import NonFiniteError
from .history import History
from .program import Instruction, aligned, call
from .runs import Position, begin, carry_on
from .steps import Plan

if TYPE_CHECKING:
    from .model import Model

SLICE_SECONDS = 0.05


@dataclass
class Feed:
    """The data of a run and the counters that move through it."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    index: np.ndarray  # the order of the rows in this epoch
    cursor: np.ndarray  # the next row
    total: np.ndarray  # Σ loss · count, Σ count of this epoch

    def gather(self, plan: Plan) -> list[Instruction]:
        """The instructions that fill a plan's batch."""
        assert plan.target is not None
        out = [self._gather(self.X, plan.x), self._gather(self.y, plan.target)]
        if self.weight is not None and plan.weight is not None:
            out.append(self._gather(self.weight, plan.weight))
        return out

    def _gather(self, source: np.ndarray, out: np.ndarray) -> Instruction:
        name = (batches.gather_labels if source.dtype == np.int64 else batches.gather).__name__
        rows = source.reshape(len(source), -1)
        return call(name, source=rows, index=self.index, cursor=self.cursor, out=out.reshape(len(out), -1))


class Loop(Protocol):
    """What `run` needs of whatever computes an epoch."""

    def epoch(self, number: int, pace: Callable[[], int], at: Position) -> Iterator[int]:
        """Run one epoch from `at` on; yields the number of steps done after each slice of about 50 ms, or `pace()` steps."""

    def position(self) -> Position:
        """How much of the epoch is done."""


@dataclass
class Asked:
    """The arguments of one `fit`, besides the data."""

    epochs: int
    batch_size: int | None
    validation_data: Any
    shuffle: bool
    callbacks: Sequence[Callback]
    progress: bool
    resume: bool
    max_seconds: float | None


def fit(model: "Model", X: Any, y: Any, sample_weight: Any, class_weight: Any, asked: Asked) -> History:
    """What `Model.fit` does, after it has checked epochs."""
    X, target, weight = checked_data(model, X, y, sample_weight, class_weight)

    def loop(size: int, shuffle: bool) -> Loop:
        feed = Feed(X, target, weight, row_order(len(X)), aligned((1,), np.int64), aligned((2,), np.float64))
        return _ProgramLoop(model, feed, size, shuffle)

    return run(model, loop, (X, target, weight), asked)


def run(model: "Model", make: Callable[[int, bool], Loop], arrays: Sequence[Any], asked: Asked) -> History:
    """A run with all that goes around its epochs: callbacks, validation, history, where it stands. `make`: its loop."""
    began = time.monotonic()
    watchers = [*([ProgressBar()] if asked.progress else []), *checked_callbacks(asked.callbacks)]
    watchers.sort(key=lambda w: isinstance(w, ModelCheckpoint))  # they write what the others have come to
    validation = _validation(model, asked.validation_data)
    this, last = begin(model, asked.epochs, asked.resume, asked.batch_size, asked.shuffle, arrays, validation)
    loop = make(this.batch_size, this.shuffle)
    stop = model.epoch if this.stopped else max(this.first + asked.epochs, model.epoch)
    steps = -(-this.rows // this.batch_size)
    for watcher in watchers:
        watcher.model = model
        watcher.params = {"epochs": stop - model.epoch, "steps": steps, "progress": asked.progress}
    every_batch = [w for w in watchers if type(w).on_train_batch_end is not Callback.on_train_batch_end]
    paced = [w for w in watchers if type(w).pace is not Callback.pace]

    def pace() -> int:
        return 1 if every_batch else min((w.pace() for w in paced), default=sys.maxsize)

    def late() -> bool:
        return asked.max_seconds is not None and time.monotonic() - began >= asked.max_seconds

    this.watchers, model.last_run = watchers, this
    model.stop_training = this.stopped
    logs: dict[str, float] = {}
    begun: list[Callback] = []
    expired, before = False, -1  # before: the model's steps before this epoch, while one is in progress
    try:
        for watcher in watchers:
            watcher.on_train_begin({})
            begun.append(watcher)
        if last:
            carry_on(last, watchers, this.resumed)
        for epoch in range(model.epoch, stop):
            for watcher in watchers:
                watcher.on_epoch_begin(epoch, {})
            before = int(model.step_count[0]) - this.steps_done
            for step in loop.epoch(epoch, pace, this.at):
                this.at, this.steps = loop.position(), before + step
                so_far = {"loss": this.at.loss}
                for watcher in every_batch:
                    watcher.on_train_batch_end(step - 1, so_far)
                for watcher in watchers:
                    watcher.on_slice_end(step, so_far)
                expired = late() and not model.stop_training
                if model.stop_training or expired:
                    break
            if expired:
                break  # within the epoch, even if only its end is missing: `at` says where
            logs = {"loss": loop.position().loss}
            model.epoch, this.at, before = epoch + 1, Position(), -1
            if validation:
                logs |= {f"val_{k}": v for k, v in model.evaluate(*validation).items()}
            logs["lr"] = model.lr
            this.history.append(epoch, logs)
            for watcher in watchers:
                watcher.on_epoch_end(epoch, logs)
            if model.stop_training or late():
                break
    except NonFiniteError:
        this.broken = True
        if not any(isinstance(w, TerminateOnNaN) for w in watchers):
            raise
    except BaseException:
        this.broken = True
        raise
    finally:
        if this.broken and before >= 0:
            this.at = loop.position()
            this.steps = before + this.steps_done
        for watcher in begun:
            watcher.on_train_end(logs)
        this.end(model.stop_training)
    return this.history


def checked_data(
    model: "Model", X: Any, y: Any, sample_weight: Any, class_weight: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """X, y and the weights of the rows as a run or an evaluation takes them; ValueError or TypeError says what does not fit."""
    X = data.features(X, model.dtype)
    if not X.size:
        raise ValueError(f"X is empty (shape {X.shape}), expected at least one row and one feature")
    output = model.output_shape(X.shape[1:])
    if model.callable_loss:
        for name, given in (("sample_weight", sample_weight), ("class_weight", class_weight)):
            if given is not None:
                raise ValueError(f"{name} is given, but the loss is a callable: weight the rows inside it")
        target = np.asarray(y)
        if target.ndim == 0:
            raise ValueError("y is a single value, expected one target for each row of X")
        data.check_rows("y", target, len(X))
        return X, target, None
    target = data.targets(y, model.loss, output, model.dtype, len(X))
    weight = data.row_weights(sample_weight, class_weight, target, model.dtype, output[-1])
    if weight is not None and not weight.any():
        raise ValueError("sample_weight is 0 everywhere, expected at least one row that counts")
    return X, target, weight


def row_order(rows: int) -> np.ndarray:
    """The rows as they come; `shuffle` reorders it in place."""
    index = aligned((rows,), np.int64)
    index[:] = np.arange(rows)
    return index


def checked_callbacks(callbacks: Any) -> Sequence[Callback]:
    """The callbacks of a run, each an object."""
    if not isinstance(callbacks, tuple | list):
        raise TypeError(f"callbacks is {callbacks!r}, expected a list of objects from backpass.callbacks")
    for number, callback in enumerate(callbacks):
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks[{number}] is {callback!r}, expected an object derived from backpass.Callback"
            )
    return callbacks


def _validation(model: "Model", validation_data: Any) -> tuple[Any, ...]:
    """What `evaluate` gets after each epoch; () for nothing."""
    if validation_data is None:
        return ()
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        what = f"a {type(validation_data).__name__}" + (
            f" of {len(validation_data)}" if isinstance(validation_data, tuple | list) else ""
        )
        raise ValueError(f"validation_data is {what}, expected a tuple (X, y) or (X, y, sample_weight)")
    X, y, *weight = validation_data
    try:
        return checked_data(model, X, y, weight[0] if weight else None)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data: {error}") from None


class _ProgramLoop:
    """The programs of a run: one for whole batches, one for the rest of an epoch."""

    def __init__(self, model: "Model", feed: Feed, size: int, shuffle: bool) -> None:
        self.model, self.feed, self.size = model, feed, size
        rows = len(feed.X)
        self.programs: list[tuple[Executor, Plan, int]] = []  # with the number of steps an epoch
        for count, steps in ((size, rows // size), (rows % size, 1)):
            if count and steps:
                plan = model.training_plan(
                    (count, *feed.X.shape[1:]), (feed.y.shape[1:], feed.y.dtype), feed.weight is not None
                )
                advance = call(
                    "advance",
                    loss=plan.loss,
                    count=plan.count,
                    step=model.step_count,
                    cursor=feed.cursor,
                    total=feed.total,
                    rows=count,
                )
                instructions = [
                    *feed.gather(plan),
                    *plan.forward,
                    *plan.loss_part,
                    *plan.backward,
                    *model.update_instructions(plan.loss),
                    advance,
                ]
                self.programs.append((model.backend.compile(instructions, model.halt), plan, steps))
        self.epoch_number = aligned((1,), np.int64)
        shuffling = call("shuffle", epoch=self.epoch_number, index=feed.index, seed=model.seed)
        self.shuffle = model.backend.compile([shuffling]) if shuffle else None
        self.seconds_per_step = SLICE_SECONDS

    def position(self) -> Position:
        """How much of the epoch is done."""
        return Position(min(int(self.feed.cursor[0]), len(self.feed.X)), *self.feed.total.tolist())

    def epoch(self, number: int, pace: Callable[[], int], at: Position) -> Iterator[int]:
        """Run one epoch from `at` on; yields the number of steps done after each slice."""
        self.epoch_number[0] = number
        self.feed.cursor[0] = at.rows
        self.feed.total[:] = at.total, at.weight
        if self.shuffle:
            self.shuffle.run()
        done = -(-at.rows // self.size)
        behind = done
        for executor, plan, steps in self.programs:
            left = steps - min(behind, steps)
            behind -= steps - left
            while left:
                slice_steps = max(1, min(left, pace(), int(SLICE_SECONDS / self.seconds_per_step)))
                start = time.perf_counter()
                ran = executor.run(slice_steps, self.model.threads)
                self.seconds_per_step = max((time.perf_counter() - start) / slice_steps, 1e-9)
                if ran < slice_steps and self.model.halt[0]:
                    self.model.raise_non_finite(plan)
                done, left = done + ran, left - ran
                yield done
