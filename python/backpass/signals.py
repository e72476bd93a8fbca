"""Signals wait where a step or the end of an epoch must not be torn in two: their handlers run right after it.

Python runs signal handlers in the main thread, between any two of its instructions; one that raises, as that of Ctrl-C does,
would leave half a step behind. While they are held a second signal of the same kind goes through all the same.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` takes five times as long: it makes enums
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What people stop a program by, where the system has it.
NAMES = ["INT", "TERM", "ALRM", "HUP", "QUIT", "USR1", "USR2", "VTALRM", "PROF", "XCPU", "BREAK"]
MAY_RAISE = [getattr(signal, f"SIG{name}") for name in NAMES if hasattr(signal, f"SIG{name}")]


class _Held:
    """The handlers of Python that stood before, and the signals that wait for them."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.handlers: dict[int, Any] = {}
        self.waiting: list[int] = []
        self.open = [True, False]  # level by level: whether handlers run at once
        for number in MAY_RAISE:
            handler = signal.getsignal(number)
            if callable(handler):
                self.handlers[number] = handler
                signal.signal(number, self.note)

    def note(self, number: int, frame: Any) -> None:
        """The handler while this one stands."""
        if self.open[-1] or number in self.waiting:
            self.handlers[number](number, frame)
        else:
            self.waiting.append(number)

    def deliver(self) -> None:
        """Let those that wait run."""
        while self.waiting:
            number = self.waiting.pop(0)
            self.handlers[number](number, None)

    def leave(self) -> None:
        """End a level."""
        self.open.pop()
        if len(self.open) == 1:
            self.restore()
        if self.open[-1]:
            self.deliver()

    def restore(self) -> None:
        """Put back the handlers that nobody has changed since."""
        global _held
        _held = None
        for number, handler in self.handlers.items():
            if signal.getsignal(number) == self.note:
                signal.signal(number, handler)


_held: _Held | None = None  # by the main thread


def _mine() -> _Held | None:
    return _held if _held is not None and _held.thread == threading.get_ident() else None


@contextmanager
def held() -> Iterator[None]:
    """Handlers wait until the end of the block, or until `opened` or `breathe` in it."""
    global _held
    now = _mine()
    if now is not None:
        now.open.append(False)
    elif threading.get_ident() == threading.main_thread().ident:
        now = _held = _Held()
    try:
        yield
    finally:
        if now is not None:
            now.leave()


@contextmanager
def opened() -> Iterator[None]:
    """Within `held`: handlers run at once in this block."""
    now = _mine()
    if now is None:
        yield
        return
    now.open.append(True)
    try:
        now.deliver()
        yield
    finally:
        now.leave()


def breathe() -> None:
    """Within `held`: let the handlers that wait run, unless a block around this one holds them as well."""
    now = _mine()
    if now is not None and now.waiting and now.open[-2]:
        now.deliver()


def _after_fork() -> None:
    """A child of another thread has no block to come to the end of."""
    if _held is not None and _mine() is None:
        _held.open = [True]
        _held.restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
