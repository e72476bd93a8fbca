"""Signals wait where a step or the end of an epoch must not be torn in two: their handlers run right after it.

Python runs signal handlers in the main thread, between any two of its instructions; one that raises, as that of Ctrl-C does,
would leave half a step behind. While they are held a second signal of the same kind goes through all the same.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` takes five times as long: it makes enums
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

# What people stop a program by, where the system has it.
NAMES = ["INT", "TERM", "ALRM", "HUP", "QUIT", "USR1", "USR2", "VTALRM", "PROF", "XCPU", "BREAK"]
MAY_RAISE = [getattr(signal, f"SIG{name}") for name in NAMES if hasattr(signal, f"SIG{name}")]


R = TypeVar("R")


class _Gate:
    """Stands before the handlers of Python."""

    def __init__(self) -> None:
        self.open = True  # whether handlers run at once
        self.waiting: list[int] = []
        self.handlers: dict[int, Any] = {}  # that stood before, while signals come here
        self.thread = 0

    def install(self) -> None:
        self.thread = threading.get_ident()
        for number in MAY_RAISE:
            handler = signal.getsignal(number)
            if callable(handler):
                self.handlers[number] = handler
                signal.signal(number, self.note)

    def note(self, number: int, frame: Any) -> None:
        """The handler while this one stands."""
        if self.open or number in self.waiting:
            self.handlers[number](number, frame)
        else:
            self.waiting.append(number)

    def deliver(self) -> None:
        """Let those that wait run."""
        while self.waiting:
            number = self.waiting.pop(0)
            self.handlers[number](number, None)

    def remove(self) -> None:
        """Put back the handlers that nobody has changed since, and let those that wait run."""
        for number, handler in self.handlers.items():
            if signal.getsignal(number) == self.note:
                signal.signal(number, handler)
        self.open = True
        self.deliver()
        self.handlers = {}


_main = _Gate()


def _gate() -> _Gate:
    """That of this thread; of one that no signal comes to, any."""
    return _main if _main.handlers and _main.thread == threading.get_ident() else _Gate()


@contextmanager
def held() -> Iterator[bool]:
    """Handlers wait until the end of the block; yields whether they would run at once outside it.

    Nothing but an assignment stands between the opening of the gate and the `finally` that closes it, here and below: Python runs
    handlers after calls and where loops turn back.
    """
    gate = _gate()
    outermost = gate is not _main and threading.get_ident() == threading.main_thread().ident
    gate = _main if outermost else gate
    was_open = gate.open
    try:
        gate.open = False
        if outermost:
            gate.install()
        yield was_open
    finally:
        if not outermost:
            gate.open = was_open
            if was_open:
                gate.deliver()
        else:
            try:
                gate.remove()
            except BaseException:
                gate.remove()  # one came in the middle
                raise


def opened(function: Callable[..., R], /, *arguments: Any) -> R:
    """Call a function within `held`, and let handlers run at once while it runs."""
    gate = _gate()
    was_open = gate.open
    try:
        gate.open = True
        gate.deliver()
        return function(*arguments)
    finally:
        gate.open = was_open


def deliver() -> None:
    """Within `held`: let the handlers that wait run now."""
    _gate().deliver()


def _after_fork() -> None:
    """A child of another thread has no block to come to the end of."""
    if _main.handlers and _main.thread != threading.get_ident():
        _main.waiting.clear()
        _main.remove()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
