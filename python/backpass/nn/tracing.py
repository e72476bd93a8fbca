"""Tracing: while a module's `forward` runs, which Builder it emits into, and where the modules within it are called from."""

import linecache
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..program import Builder, Tensor
from ..program.views import permute
from .symbolic import SymbolicTensor

PACKAGE = str(Path(__file__).resolve().parents[1])


class Trace(NamedTuple):
    """One `forward` that runs: its Builder, and the names of the modules within the module, relative to it."""

    builder: Builder
    names: dict[int, str]
    layer: str


class _Stack(threading.local):
    def __init__(self) -> None:
        self.traces: list[Trace] = []


_stack = _Stack()


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


def traced(module: Any, builder: Builder, inputs: Sequence[Tensor]) -> Tensor:
    """The output of a module's `forward` for tensors of the program."""
    names = {id(inner): name for name, inner in module.walk()}
    with tracing(builder, names):
        out = located(module.forward, *(SymbolicTensor(builder, x, 1) for x in inputs))
    if not isinstance(out, SymbolicTensor):
        raise TypeError(f"forward of {type(module).__name__} returned {out!r:.80}, expected a tensor")
    if out.per_row != 1 and (out.per_row or not builder.whole_batch):
        raise ValueError(
            f"forward of {type(module).__name__} returned a tensor of shape {out.shape}, expected the"
            f" {inputs[0].shape[0]} rows of the batch first, each computed from its input"
        )
    return out.tensor


def called(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """A module within `forward`: one of ours emits, one of the user's runs its own `forward`."""
    trace = current()
    if trace is None:
        name = type(module).__name__
        raise TypeError(
            f"{name} was called outside forward: model = bp.Model(net), then model.predict(x) or model.forward(x)"
        )
    builder = trace.builder
    with within(trace, module):
        if module.has_forward:
            names = {id(inner): name for name, inner in module.walk()}
            with tracing(builder, names):
                return module.forward(*inputs, **named)
        given = [*inputs, *(named[name] for name in [*module.takes][len(inputs) :] if name in named)]
        if len(given) != len(module.takes) or {*named} - {*module.takes}:
            raise TypeError(f"{module!r} was called with {len(given)} inputs, expected {[*module.takes]}")
        for value in given:
            if not isinstance(value, SymbolicTensor):
                raise TypeError(f"{module!r} was called with {value!r:.60}, expected a tensor of forward")
        y = module.emit(builder, *(value.tensor for value in given))
        return given[0]._next(y, y.shape[:1] == given[0].shape[:1])


def shown(module: Any, name: str) -> SymbolicTensor:
    """A parameter in `forward`, as users see it."""
    builder, parameter = _stack.traces[-1].builder, module.learned[name]
    tensor = module.tensor(name)
    if parameter.axes is not None:
        tensor = permute(builder, tensor, parameter.axes)
    elif parameter.shown != parameter.stored:
        tensor = builder.reshape(tensor, parameter.shown)
    return SymbolicTensor(builder, tensor)


def buffer(module: Any, name: str) -> SymbolicTensor:
    """A buffer in `forward`."""
    return SymbolicTensor(_stack.traces[-1].builder, Tensor(module.state[name]))


def _line(error: BaseException) -> str:
    """The innermost line outside this package that an error went through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(PACKAGE)]
    if not frames:
        return ""
    frame = frames[-1]
    source = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f"in {frame.name}, {frame.filename}:{frame.lineno}: {source}"
