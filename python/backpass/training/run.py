"""A run with all that goes around its epochs: callbacks, history, progress, a judge."""

import time
from collections.abc import Callable
from threading import get_ident
from typing import Any, Protocol

from ..callbacks import Callback, ProgressBar, TerminateOnNaN
from ..callbacks.dispatch import (
    checked_callbacks,
    introduce,
    is_ours,
    pacing,
    states_of,
    tell,
    tell_all,
    tell_steps,
)
from ..data.feed import Position
from ..engine.engine import Engine
from ..engine.history import History
from ..engine.nonfinite import check_weights
from ..engine.run import Run
from ..errors import NonFiniteError
from ..system.signals import deliver, held
from .fingerprint import Fingerprint
from .loops import Loop
from .resume import FitOptions, begin, carry_on


class Judge(Protocol):
    """What decides about a run besides its callbacks."""

    # The names of what `judge` adds to the logs of an epoch, and what is better, less ("min") or more ("max").
    better: dict[str, str]
    # Of the data that it judges by.
    fingerprint: Fingerprint
    # Whether it has anything to do around an epoch.
    listens: bool

    def epoch_begins(self, epoch: int) -> None:
        """Before an epoch."""

    def judge(self, epoch: int, logs: dict[str, float]) -> None:
        """After an epoch: may add to its logs, which hold "loss"."""

    def forgives(self, error: NonFiniteError) -> bool:
        """Whether a step that is not finite ends the epoch, and no more."""

    def epoch_ends(self, epoch: int) -> bool:
        """After the callbacks have heard of the epoch; whether the run is over."""


def runs_last(callback: Any) -> bool:
    """True for callbacks that save what the others changed, and so must run after them."""
    return bool(getattr(callback, "runs_last", False))


@held()
def train(
    engine: Engine,
    make: Callable[[Run], Loop],
    rows: int,
    data: Fingerprint,
    options: FitOptions,
    judge: Judge,
) -> History:
    """A run with all that goes around its epochs.

    Args:
        make: the loop that computes an epoch of the run.
        rows: that the data have. data: their fingerprint.
        judge: decides about the run besides its callbacks.
    """
    began = time.monotonic()
    bar = [ProgressBar(options.progress)] if options.progress else []
    callbacks = sorted([*checked_callbacks(options.callbacks), *bar], key=runs_last)
    run, interrupted = begin(engine, options, rows, data, judge.fingerprint)
    loop = make(run)
    loop.go_on(run)
    stop = engine.epoch if run.stopped else max(run.first + options.epochs, engine.epoch)
    params: dict[str, Any] = {
        "epochs": stop - engine.epoch,
        "steps": -(-run.rows // run.batch_size),
        "rows": run.rows,
        "batch_size": run.batch_size,
        "progress": bool(options.progress),
        "metrics": [*loop.logs(), *loop.better, *judge.better, "lr"],
        "better": {**loop.better, **judge.better},
        "others": not all(map(is_ours, callbacks)),
    }
    introduce(callbacks, options.model, params)
    pace = pacing(callbacks)
    unheard = not callbacks and not judge.listens

    def late() -> bool:
        expired = options.max_seconds is not None and time.monotonic() - began >= options.max_seconds
        return expired or (engine.leave is not None and engine.leave())

    previous, started = engine.last_run, False
    run.current_states, engine.last_run = lambda: states_of(callbacks), run
    engine.stop_training = run.stopped
    engine.usage.training = get_ident()
    run.history.expect(params["metrics"])
    logs: dict[str, float] = {}
    begun: list[Callback] = []
    expired = False
    try:
        for callback in callbacks:
            tell(callback, "on_train_begin", {})
            begun.append(callback)
        if interrupted:
            carry_on(interrupted, callbacks)
        started = True
        epoch = engine.epoch
        while epoch < stop:
            if unheard and not run.position.rows:
                _go_ahead(engine, loop, run, stop)
                passed, epoch = engine.epoch > epoch, engine.epoch
                if epoch == stop or engine.stop_training or (passed and late()):
                    break
                if passed and not run.position.rows:
                    continue
            judge.epoch_begins(epoch)
            for callback in callbacks:
                tell(callback, "on_epoch_begin", epoch, {})
            loop.begin(epoch, run.position)
            run.enter(loop.position, int(engine.step_count[0]))
            try:
                for _ in loop.slices(pace):
                    run.look()
                    if callbacks:
                        tell_steps(callbacks, run.steps_done, loop.logs())
                    loop.agree()
                    expired = late() and not engine.stop_training
                    if engine.stop_training or expired:
                        break
                if expired:
                    break  # within the epoch, even if only its end is missing: the position says where
                check_weights(engine, tables=False)
            except NonFiniteError as error:
                if not judge.forgives(error):
                    raise
            logs = loop.logs() | loop.measured()
            judge.judge(epoch, logs)
            logs["lr"] = engine.lr
            engine.epoch, run.position, run.current_position = epoch + 1, Position(), None
            run.history.append(epoch, logs)
            if callbacks:  # whose numbers the history takes over before the files are written
                tell_all(sorted([*callbacks, run.history], key=runs_last), "on_epoch_end", epoch, logs)
            if judge.epoch_ends(epoch) or engine.stop_training or late():
                break
            epoch += 1
        if engine.flat.sparse:
            check_weights(engine)
    except NonFiniteError:
        run.broken = True
        if not any(isinstance(callback, TerminateOnNaN) for callback in callbacks):
            raise
    except BaseException:
        run.broken = True
        raise
    finally:
        engine.usage.training = 0
        if not started:
            engine.last_run = previous  # nothing has happened: what could be resumed still can
        try:
            tell_all(begun, "on_train_end", logs)
        finally:
            run.end(states_of(callbacks), engine.stop_training)
    return run.history


def _go_ahead(engine: Engine, loop: Loop, run: Run, stop: int) -> None:
    """Epochs of which nobody hears, where they are short. Handlers of signals wait until the run knows of all."""
    was_computing, engine.usage.computing = engine.usage.computing, True
    try:
        loop.ahead(engine.epoch, stop - engine.epoch)
    finally:
        passed, run.position = loop.passed()
        for logs in passed:
            run.history.append(engine.epoch, logs)
            engine.epoch += 1
        engine.usage.computing = was_computing
    deliver()
