"""How a run speaks to its callbacks: they are told what they have methods for, and need not derive from `Callback`."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..signals import opened
from .callback import Callback

if TYPE_CHECKING:
    from ..model import Model

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


def introduce(
    watchers: Sequence[Callback], model: "Model", epochs: int, rows: int, batch_size: int, progress: bool
) -> None:
    """Give each callback the attributes `model` and `params`."""
    steps = -(-rows // batch_size)
    for watcher in watchers:
        watcher.model = model
        watcher.params = {
            "epochs": epochs,
            "steps": steps,
            "rows": rows,
            "batch_size": batch_size,
            "progress": progress,
        }


def pacing(watchers: Sequence[Callback]) -> Callable[[], int]:
    """What says, at any moment of a run, how many steps it may do at most until `tell_steps`."""
    if any(own(watcher, "on_train_batch_end") for watcher in watchers):
        return lambda: 1
    paces = [pace for watcher in watchers if (pace := own(watcher, "pace"))]
    return lambda: min((pace() for pace in paces), default=sys.maxsize)


def tell(watcher: Any, moment: str, *details: Any) -> None:
    """Call a method of a callback. Only one of somebody else's may be interrupted by a signal: it may take long."""
    method = own(watcher, moment)
    if method is None:
        return
    if type(watcher).__module__.partition(".")[0] == __name__.partition(".")[0]:
        method(*details)
    else:
        opened(method, *details)


def tell_steps(watchers: Sequence[Callback], steps: int, loss: float) -> None:
    """So many steps of the epoch are done, with this mean loss."""
    logs = {"loss": loss}
    for watcher in watchers:
        tell(watcher, "on_train_batch_end", steps - 1, logs)
    for watcher in watchers:
        tell(watcher, "on_slice_end", steps, logs)


def tell_all(watchers: Sequence[Any], moment: str, *details: Any) -> None:
    """Call a method of every callback, even if one raises: what has ended has ended for all of them."""
    failed: BaseException | None = None
    for watcher in watchers:
        try:
            tell(watcher, moment, *details)
        except BaseException as error:
            failed = failed or error
    if failed:
        raise failed
