"""How a run speaks to its callbacks: they are told what they have methods for, and need not derive from `Callback`."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..engine.run import States
from ..system.signals import opened
from .base import Callback

MOMENTS = ("on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_slice_end", "on_epoch_end", "on_train_end")  # fmt: skip


def checked_callbacks(callbacks: Any) -> Sequence[Callback]:
    """The callbacks of a run, each an object with some of a callback's methods."""
    if not isinstance(callbacks, tuple | list):
        raise TypeError(f"callbacks is {callbacks!r}, expected a list of objects from backpass.callbacks")
    for number, callback in enumerate(callbacks):
        if isinstance(callback, type) or not (
            isinstance(callback, Callback) or any(own(callback, moment) for moment in MOMENTS)
        ):
            raise TypeError(
                f"callbacks[{number}] is {callback!r}, expected an object with methods of backpass.Callback"
                " such as on_epoch_end"
            )
    return callbacks


def own(callback: Any, name: str) -> Callable[..., Any] | None:
    """The method of this name, unless it is the one of `Callback`, which does nothing."""
    method = getattr(callback, name, None)
    inherited = getattr(method, "__func__", None) is getattr(Callback, name)
    return method if callable(method) and not inherited else None


def is_ours(callback: Any) -> bool:
    """Whether a class of backpass is what its methods belong to."""
    return type(callback).__module__.partition(".")[0] == __name__.partition(".")[0]


def introduce(callbacks: Sequence[Callback], model: Any, params: Mapping[str, Any]) -> None:
    """Give each callback the attributes `model` and `params`."""
    for callback in callbacks:
        callback.model = model
        callback.params = dict(params)


def states_of(callbacks: Sequence[Callback]) -> States:
    """What each callback keeps, under the name of its class."""
    return [(type(c).__name__, state() if (state := own(c, "state_dict")) else {}) for c in callbacks]


def pacing(callbacks: Sequence[Callback]) -> Callable[[], int]:
    """A function that gives, at any moment of a run, the most steps until the next `tell_steps`."""
    if any(own(callback, "on_train_batch_end") for callback in callbacks):
        return lambda: 1
    paces = [pace for callback in callbacks if (pace := own(callback, "pace"))]
    return lambda: min((pace() for pace in paces), default=sys.maxsize)


def tell(callback: Any, moment: str, *details: Any) -> None:
    """Call a method of a callback. Signals are delivered during user callbacks, which may be slow, but not during our own."""
    method = own(callback, moment)
    if method is None:
        return
    if is_ours(callback):
        method(*details)
    else:
        opened(method, *details)


def tell_steps(callbacks: Sequence[Callback], steps: int, logs: Mapping[str, float]) -> None:
    """So many steps of the epoch are done, with these logs."""
    for callback in callbacks:
        tell(callback, "on_train_batch_end", steps - 1, logs)
    for callback in callbacks:
        tell(callback, "on_slice_end", steps, logs)


def tell_all(callbacks: Sequence[Any], moment: str, *details: Any) -> None:
    """Call a method of every callback, even if one raises: what has ended has ended for all of them."""
    failed: BaseException | None = None
    for callback in callbacks:
        try:
            tell(callback, moment, *details)
        except BaseException as error:
            failed = failed or error
    if failed:
        raise failed
