"""One thread at a time: a model's buffers serve one call, so calls from several threads wait for each other."""

import os
import weakref
from collections.abc import Callable
from functools import wraps
from threading import RLock, get_ident
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from .signals import opened

P = ParamSpec("P")
M = TypeVar("M")
R = TypeVar("R")
Method = Callable[Concatenate[M, P], R]


class Usage:
    """Which call a model is in.

    The thread inside a call holds `lock`, and may call on from within: a callback may predict. `computing` is True while a
    program runs. Then the only code of this thread that can run is a signal handler, which may read or save the model.
    `training` is the thread whose `fit` goes on, 0 for none: nobody waits for a whole fit.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self.computing = False
        self.training = 0
        _all.add(self)


_all: "weakref.WeakSet[Usage]" = weakref.WeakSet()


def _after_fork() -> None:
    """A model that another thread was using stays in use in a child, where nobody finishes what that thread began."""
    for usage in _all:
        if usage.lock.acquire(blocking=False):
            usage.lock.release()
        else:
            usage.lock, usage.training = RLock(), usage.training or -1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def reentrant(method: Method[M, P, R]) -> Method[M, P, R]:
    """A method of an object with an engine, within which the same thread may call on; others wait."""
    return _guarded(method, computes=False, reads=False)


def computing(method: Method[M, P, R]) -> Method[M, P, R]:
    """A method that runs programs, within which nobody may call on; other threads wait."""
    return _guarded(method, computes=True, reads=False)


def reading(method: Method[M, P, R]) -> Method[M, P, R]:
    """A method that changes nothing, so that a signal handler may call it while this thread computes; other threads wait."""
    return _guarded(method, computes=False, reads=True)


def _guarded(method: Method[M, P, R], computes: bool, reads: bool) -> Method[M, P, R]:
    @wraps(method)
    def guarded(owner: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        usage: Usage = cast(Any, owner).engine.usage
        if usage.training and usage.training != get_ident():
            raise in_training()
        with usage.lock:
            was_computing = usage.computing
            if was_computing and not reads:
                raise in_a_step()
            usage.computing = computes or was_computing
            try:
                return method(owner, *args, **kwargs)
            finally:
                usage.computing = was_computing

    return cast("Method[M, P, R]", guarded)


def switched(usage: Usage, function: Callable[..., R], /, *arguments: Any) -> R:
    """Call a function with `computing` the other way round, from "may call on" to "nobody may", or back; deliver signals."""
    was_computing = usage.computing
    try:
        usage.computing = not was_computing
        return opened(function, *arguments)
    finally:
        usage.computing = was_computing


def in_a_step() -> RuntimeError:
    """What a call from a signal handler raises while a program of the same thread runs."""
    return RuntimeError(
        "the model is in the middle of a step or a prediction: a signal handler may save it and read its state, no more"
    )


def in_training() -> RuntimeError:
    """What a call raises while another thread trains the model."""
    return RuntimeError(
        "the model is in use by another thread, whose fit goes on: wait for that one, or give each thread a model of its own"
        " (copy.deepcopy)"
    )
