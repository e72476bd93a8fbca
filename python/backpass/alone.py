"""One thread at a time: a model's buffers serve one call, so a call from a second thread is an error and never a wrong number.

`Model.user` is the thread that uses the model: 0 for none; negative while the call is in the middle of a program, when only a
signal handler of the same thread can come in between: it may read and save the model, and do nothing else.
"""

from collections.abc import Callable
from functools import wraps
from threading import get_ident
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from .signals import opened

P = ParamSpec("P")
M = TypeVar("M")
R = TypeVar("R")
Method = Callable[Concatenate[M, P], R]


def alone(method: Method[M, P, R]) -> Method[M, P, R]:
    """A method that marks the model as in use: RuntimeError where another thread has; the same one may call on from within.

    Between reading and writing the mark there is no call, and so, with the GIL, no change of threads and no signal. It costs a
    few nanoseconds, a lock some hundred.
    """
    return _marking(method, 1, reads=False)


def computing(method: Method[M, P, R]) -> Method[M, P, R]:
    """The same for a method within which nobody may call on."""
    return _marking(method, -1, reads=False)


def reading(method: Method[M, P, R]) -> Method[M, P, R]:
    """The same for a method that leaves all as it is, so that it may come at any moment of this thread's own call."""
    return _marking(method, 1, reads=True)


def _marking(method: Method[M, P, R], sign: int, reads: bool) -> Method[M, P, R]:
    @wraps(method)
    def marked(model: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        it: Any = model
        me = get_ident()
        before = it.user
        if before and before != me and not (reads and before == -me):
            raise in_use(before == -me)
        it.user = sign * me
        try:
            return method(model, *args, **kwargs)
        finally:
            it.user = before

    return cast("Method[M, P, R]", marked)


def turned(model: Any, function: Callable[..., R], /, *arguments: Any) -> R:
    """Call a function, within one of these: from "the same thread may call on" to "nobody may", or back. Signals do not wait."""
    user = model.user
    try:
        model.user = -user
        return opened(function, *arguments)
    finally:
        model.user = user


def in_use(by_this_thread: bool) -> RuntimeError:
    """What a call at the wrong time raises."""
    if by_this_thread:
        return RuntimeError(
            "the model is in the middle of a step or a prediction: a signal handler may save it and read its state, no more"
        )
    return RuntimeError(
        "the model is in use by another thread: wait for that one, or give each thread a model of its own (copy.deepcopy)"
    )
