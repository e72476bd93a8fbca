"""A run with all that goes around its epochs: callbacks, validation, history, where it stands."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .callbacks import Callback, ModelCheckpoint, ProgressBar, TerminateOnNaN
from .diagnosis import check_weights
from .errors import NonFiniteError
from .evaluation import checked_data, checked_validation, evaluated
from .history import History
from .loop import Feed, Loop, ProgramLoop
from .program import aligned
from .runs import Asked, Position, Run, begin, carry_on, fingerprint
from .sampling import Order, classes_of, row_order

if TYPE_CHECKING:
    from .model import Model


def fit(model: "Model", X: Any, y: Any, sample_weight: Any, class_weight: Any, asked: Asked) -> History:
    """What `Model.fit` does, after it has checked epochs."""
    X, target, weight = checked_data(model, X, y, sample_weight, class_weight)

    def loop(this: Run) -> Loop:
        feed = Feed(X, target, weight, row_order(len(X)), aligned((1,), np.int64), aligned((2,), np.float64))
        classes = classes_of(model, target) if this.sampler else None
        return ProgramLoop(model, feed, this.batch_size, Order(model, feed.index, this.shuffle, classes))

    return run(model, loop, len(X), fingerprint((X, target, weight)), asked)


def run(model: "Model", make: Callable[[Run], Loop], rows: int, data: str, asked: Asked) -> History:
    """A run with all that goes around its epochs: callbacks, validation, history, where it stands.

    make: its loop. rows: of an epoch. data: their fingerprint.
    """
    began = time.monotonic()
    watchers = [*([ProgressBar()] if asked.progress else []), *checked_callbacks(asked.callbacks)]
    watchers.sort(key=lambda w: isinstance(w, ModelCheckpoint))  # they write what the others have come to
    validation = checked_validation(model, asked.validation_data)
    this, last = begin(model, asked, rows, data, validation)
    loop = make(this)
    stop = model.epoch if this.stopped else max(this.first + asked.epochs, model.epoch)
    steps = -(-this.rows // this.batch_size)
    for watcher in watchers:
        watcher.model = model
        watcher.params = {
            "epochs": stop - model.epoch,
            "steps": steps,
            "rows": this.rows,
            "batch_size": this.batch_size,
            "progress": asked.progress,
        }
    every_batch = [w for w in watchers if type(w).on_train_batch_end is not Callback.on_train_batch_end]
    paced = [w for w in watchers if type(w).pace is not Callback.pace]

    def pace() -> int:
        return 1 if every_batch else min((w.pace() for w in paced), default=sys.maxsize)

    def late() -> bool:
        return asked.max_seconds is not None and time.monotonic() - began >= asked.max_seconds

    previous, started = model.last_run, False
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
        started = True
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
            check_weights(model)
            logs = {"loss": loop.position().loss}
            model.epoch, this.at, before = epoch + 1, Position(), -1
            if validation:
                logs |= {f"val_{k}": v for k, v in evaluated(model, *validation).items()}
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
        if not started:
            model.last_run = previous  # nothing has happened: what could be resumed still can
        for watcher in begun:
            watcher.on_train_end(logs)
        this.end(model.stop_training)
    return this.history


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
