"""Tracing: while a module's `forward` runs, which Builder it emits into, and where the modules within it are called from."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .builder import Builder

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Trace(NamedTuple):
    """One `forward` that runs: its Builder, and the names of the modules within the module, relative to it."""

    builder: Builder
    names: dict[int, str]
    layer: str


class _Stack(threading.local):
    def __init__(self) -> None:
        self.traces: list[Trace] = []


_stack = _Stack()


def innermost() -> Trace:
    """The innermost `forward` that runs in this thread, where one is sure to run."""
    return _stack.traces[-1]


def current() -> Trace | None:
    """The innermost `forward` that runs in this thread."""
    return _stack.traces[-1] if _stack.traces else None


@contextmanager
def tracing(builder: Builder, names: dict[int, str]) -> Iterator[None]:
    """Within the block, modules and tensors emit into `builder`."""
    _stack.traces.append(Trace(builder, names, builder.layer))
    try:
        yield
    finally:
        _stack.traces.pop()


@contextmanager
def within(trace: Trace, module: Any) -> Iterator[None]:
    """What is emitted within the block belongs to this module."""
    before, name = trace.builder.layer, trace.names.get(id(module), type(module).__name__)
    trace.builder.layer = f"{trace.layer}.{name}" if trace.layer else name
    try:
        yield
    finally:
        trace.builder.layer = before


def located(forward: Callable[..., Any], *args: Any) -> Any:
    """`forward(*args)`; an error tells the line of the user's code that it comes from."""
    try:
        return forward(*args)
    except Exception as error:
        line = _line(error)
        if line and not getattr(error, "located", False):
            if len(error.args) == 1 and isinstance(error.args[0], str):
                error.args = (f"{error.args[0]}\n  {line}",)
            else:
                error.add_note(line)
            error.located = True  # type: ignore[attr-defined]
        raise


def _line(error: BaseException) -> str:
    """The innermost line outside this package that an error went through."""
    import traceback  # here: `import backpass` is to be quick

    return _described([*traceback.walk_tb(error.__traceback__)])


def calling_line() -> str:
    """The innermost line outside this package that led to this call."""
    import traceback

    return _described([*traceback.walk_stack(None)][::-1])


def _described(frames: list[tuple[Any, int]]) -> str:
    import linecache

    outside = [(f.f_code, line) for f, line in frames if not f.f_code.co_filename.startswith(PACKAGE)]
    if not outside:
        return ""
    code, line = outside[-1]
    source = linecache.getline(code.co_filename, line).strip()
    return f"in {code.co_name}, {code.co_filename}:{line}: {source}"
