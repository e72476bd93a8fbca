"""One thread at a time: a model's buffers serve one call, so a call from a second thread is an error and never a wrong number."""

from collections.abc import Callable
from functools import wraps
from threading import get_ident
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

P = ParamSpec("P")
M = TypeVar("M")
R = TypeVar("R")


def alone(method: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """A method that marks the model as in use: RuntimeError where another thread has; the same one may call on from within.

    Between reading and writing the mark there is no call, and so, with the GIL, no change of threads and no signal. It costs a
    few nanoseconds, a lock some hundred.
    """

    @wraps(method)
    def marked(model: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        it: Any = model
        me = get_ident()
        before = it.user
        if before and before != me:
            raise in_use()
        it.user = me
        try:
            return method(model, *args, **kwargs)
        finally:
            it.user = before

    return cast("Callable[Concatenate[M, P], R]", marked)


def in_use() -> RuntimeError:
    """What a call from a second thread raises."""
    return RuntimeError(
        "the model is in use by another thread: wait for that one, or give each thread a model of its own (copy.deepcopy)"
    )
