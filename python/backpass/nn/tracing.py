"""Modules within a `forward`: what a call of one emits, and its parameters and buffers as tensors."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..program import Builder, Several, Tensor, address, on_each, parts_of
from ..program.operands import in_rows
from ..program.symbolic import SymbolicTensor
from ..program.trace import current, innermost, located, tracing, within
from ..program.views import permute


def traced(module: Any, builder: Builder, inputs: Sequence[Tensor]) -> Tensor | Several:
    """The output of a module's `forward` for tensors of the program, or several."""
    names = {id(inner): name for name, inner in module.walk()}
    with tracing(builder, names):
        out = located(module.forward, *(SymbolicTensor(builder, x, 1) for x in inputs))
    outputs = Several.of(out) if isinstance(out, tuple | list | dict) else out
    if isinstance(outputs, Several) and not outputs.parts:
        raise TypeError(f"forward of {type(module).__name__} returned an empty {type(out).__name__}")
    for y in parts_of(outputs):
        if not isinstance(y, SymbolicTensor):
            raise TypeError(
                f"forward of {type(module).__name__} returned {y!r:.80}, expected a tensor, or a tuple or dict of tensors"
            )
    tensors = on_each(lambda y: y.tensor, outputs)
    for name, x in zip(module.takes, inputs, strict=False):
        given_out = any(np.may_share_memory(x.array, y.array) for y in parts_of(tensors))
        if not given_out and not _is_read(builder, x):
            raise ValueError(f"forward of {type(module).__name__} does not use its input {name!r}")
    for y in parts_of(outputs):
        mixed = y.per_row == 0 and builder.whole_batch and y.shape[:1] == inputs[0].shape[:1]
        if y.per_row != 1 and not mixed:
            raise ValueError(
                f"forward of {type(module).__name__} returned a tensor of shape {y.shape}, expected the"
                f" {inputs[0].shape[0]} rows of the batch first, each computed from its input"
            )
    return tensors  # type: ignore[no-any-return]


def _is_read(builder: Builder, x: Tensor) -> bool:
    """Whether any instruction so far reads a part of a tensor, or any view shows it."""
    arrays = (array for instruction in builder.instructions for array in instruction.fields.values())
    return (
        x in builder.viewed
        or x in builder.turned
        or any(isinstance(a, np.ndarray) and np.may_share_memory(a, x.array) for a in arrays)
    )


def called(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """A module within `forward`: its own `forward` runs."""
    trace = current()
    if trace is None:
        name = type(module).__name__
        raise TypeError(
            f"{name} was called outside forward: model = bp.Model(net), then model.predict(x) or model.forward(x)"
        )
    names = {id(inner): name for name, inner in module.walk()}
    with within(trace, module), tracing(trace.builder, names):
        return module.forward(*inputs, **named)


def emitted(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> SymbolicTensor:
    """What a layer with an `emit` of its own gives for symbolic tensors."""
    emit, trace = module.own_emit(), current()
    if emit is None or trace is None:
        raise TypeError(f"{type(module).__name__} has to define forward(self, x)")
    expect_part_of_model(module)
    # A subclass that wraps a layer in its forward says there what it takes.
    kinds = module.takes if not module.has_forward else {"x": "number"}
    names = [*kinds]
    given = [*inputs, *(named[name] for name in names[len(inputs) :] if name in named)]
    if len(given) != len(names) or {*named} - {*names}:
        raise TypeError(f"{module!r} was called with {len(given)} inputs, expected {names}")
    # What stands in its place watches it: a summary.
    emit = module.__dict__.get("emit", partial(emit, module))
    builder = trace.builder
    taken = [_taken(module, builder, value, kinds[name]) for value, name in zip(given, names, strict=True)]
    known = len(builder.ranges)
    y = emit(
        builder, *(x.tensor if kinds[n] == "index" else x._number for x, n in zip(taken, names, strict=True))
    )
    constants = [x.tensor for x, value in zip(taken, given, strict=True) if x is not value]
    _check_constants(module, constants, builder.ranges[known:])
    x = taken[0]
    return x._next(y, y.shape[:1] == x.shape[:1])


def expect_part_of_model(module: Any) -> None:
    """Refuse a layer whose weights no model has made."""
    if module.learned and module._flat is None:
        raise ValueError(
            f"{module!r} is no part of the model: set it as an attribute in __init__, lists as nn.ModuleList"
        )


def _taken(module: Any, builder: Builder, value: Any, kind: str) -> SymbolicTensor:
    """An input of a layer within `forward`: a tensor, or an array, which is a constant."""
    if isinstance(value, SymbolicTensor):
        return value
    array = np.asarray(value) if isinstance(value, np.ndarray | list) else None
    if kind == "number" and array is not None and array.ndim and array.dtype.kind in "fiub":
        return in_rows(builder, array)
    if kind != "index" or array is None or array.dtype.kind not in "iu":
        raise TypeError(f"{module!r} was called with {value!r:.60}, expected a tensor of forward")
    return SymbolicTensor(builder, Tensor(array.astype(np.int64)))


def _check_constants(
    module: Any, constants: Sequence[Tensor], ranges: Sequence[tuple[np.ndarray, int]]
) -> None:
    """Indices that are a constant of the program are in range."""
    for index, size in ranges:
        constant = any(index is x.array for x in constants)
        if constant and index.size and not 0 <= index.min() <= index.max() < size:
            raise ValueError(
                f"{module!r} was called with indices from {index.min()} to {index.max()}, expected 0 to {size - 1}"
            )


def shown(module: Any, name: str) -> SymbolicTensor:
    """A parameter in `forward`, as users see it."""
    builder, parameter = innermost().builder, module.learned[name]
    tensor = module.tensor(name)
    if parameter.axes is not None:
        tensor = permute(builder, tensor, parameter.axes)
    if parameter.shown != tensor.shape:
        tensor = builder.reshape(tensor, parameter.shown)
    return SymbolicTensor(builder, tensor)


def buffer(module: Any, name: str) -> SymbolicTensor:
    """A buffer in `forward`: what was assigned to it there, else what it holds."""
    builder, state = innermost().builder, module.state[name]
    _, value = builder.assigned.get(address(state), (state, Tensor(state)))
    return SymbolicTensor(builder, value)


def assign(module: Any, name: str, value: SymbolicTensor) -> None:
    """`self.name = tensor` in `forward`: what the buffer holds from the next training step on."""
    state = module.state[name]
    if state.dtype.kind != "f":
        raise TypeError(
            f"{name} of {type(module).__name__} holds {state.dtype}, expected a buffer of floats to write to"
        )
    if value.shape != state.shape:
        raise ValueError(
            f"{name} of {type(module).__name__} is a tensor of shape {value.shape}, expected {state.shape} as registered"
        )
    # What is read again has no gradient, as PyTorch's `with torch.no_grad()` around such a line says.
    value.builder.assign(state, value.detach().tensor)
