"""A run with all that goes around its epochs: callbacks, validation, history, where it stands."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .callbacks import Callback, ModelCheckpoint, ProgressBar, TerminateOnNaN
from .callbacks.telling import checked_callbacks, introduce, pacing, tell, tell_all, tell_steps
from .custom import CallableLoop
from .diagnosis import check_weights
from .errors import NonFiniteError
from .evaluation import checked_data, checked_validation, evaluated
from .history import History
from .loop import Feed, Loop, ProgramLoop
from .runs import Asked, Position, Run, begin, carry_on, fingerprint
from .sampling import Order, classes_of
from .signals import held, opened

if TYPE_CHECKING:
    from .model import Model


def fit(model: "Model", X: Any, y: Any, sample_weight: Any, class_weight: Any, asked: Asked) -> History:
    """What `Model.fit` does, after it has checked its other arguments."""
    X, target, weight = checked_data(model, X, y, sample_weight, class_weight)

    def loop(this: Run) -> Loop:
        feed = Feed.of(X, target, weight)
        classes = classes_of(model, target) if this.sampler else None
        order = Order(model, feed.index, this.shuffle, classes)
        kind = CallableLoop if model.callable_loss else ProgramLoop
        return kind(model, feed, this.batch_size, order)

    return run(model, loop, len(X), fingerprint((X, target, weight), model.dtype), asked)


def last_of_all(watcher: Any) -> bool:
    """Whether this writes what the others have come to."""
    return isinstance(watcher, ModelCheckpoint)


@held()
def run(model: "Model", make: Callable[[Run], Loop], rows: int, data: str, asked: Asked) -> History:
    """A run with all that goes around its epochs: callbacks, validation, history, where it stands.

    make: its loop. rows: of an epoch. data: their fingerprint.
    """
    began = time.monotonic()
    watchers = [*checked_callbacks(asked.callbacks), *([ProgressBar()] if asked.progress else [])]
    watchers.sort(key=last_of_all)
    validation = opened(checked_validation, model, asked.validation_data)
    this, last = begin(model, asked, rows, data, validation)
    loop = make(this)
    stop = model.epoch if this.stopped else max(this.first + asked.epochs, model.epoch)
    introduce(watchers, model, stop - model.epoch, this.rows, this.batch_size, asked.progress)
    pace = pacing(watchers)

    def late() -> bool:
        return asked.max_seconds is not None and time.monotonic() - began >= asked.max_seconds

    previous, started = model.last_run, False
    this.watchers, this.going_on, model.last_run = watchers, True, this
    model.stop_training = this.stopped
    logs: dict[str, float] = {}
    begun: list[Callback] = []
    expired = False
    try:
        for watcher in watchers:
            tell(watcher, "on_train_begin", {})
            begun.append(watcher)
        if last:
            carry_on(last, watchers, this.resumed)
        started = True
        for epoch in range(model.epoch, stop):
            for watcher in watchers:
                tell(watcher, "on_epoch_begin", epoch, {})
            loop.begin(epoch, this.at)
            this.enter(loop.position, int(model.step_count[0]))
            for _ in loop.slices(pace):
                this.look()
                tell_steps(watchers, this.steps_done, this.at.loss)
                expired = late() and not model.stop_training
                if model.stop_training or expired:
                    break
            if expired:
                break  # within the epoch, even if only its end is missing: `at` says where
            check_weights(model)
            logs = {"loss": loop.position().loss}
            if validation:
                logs |= {f"val_{k}": v for k, v in opened(evaluated, model, *validation).items()}
            logs["lr"] = model.lr
            model.epoch, this.at, this.where = epoch + 1, Position(), None
            this.history.append(epoch, logs)
            if watchers:  # whose numbers the history takes over before the files are written
                tell_all(sorted([*watchers, this.history], key=last_of_all), "on_epoch_end", epoch, logs)
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
        if not started:
            model.last_run = previous  # nothing has happened: what could be resumed still can
        try:
            tell_all(begun, "on_train_end", logs)
        finally:
            this.end(model.stop_training)
    return this.history
