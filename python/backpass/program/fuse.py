"""Neighbouring instructions that one kernel does: an op that activates, what is added to it, and the activation beside it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..ops import activation_backward, activation_forward, add, expression
from .builder import Instruction
from .plan import Plan
from .tensor import Tensor, address


def fused(plan: Plan, viewed: Sequence[Tensor] = ()) -> Plan:
    """Merge an op that activates, such as a linear layer, with the activation behind it; and their gradients.

    Where the op takes `other`, as the gradient of a convolution does, a sum between the two is merged as well.

    viewed: tensors that views read as well, from other addresses.
    """
    uses = Counter(
        address(array)
        for program in plan.parts.values()
        for instruction in program
        for array in instruction.fields.values()
        if isinstance(array, np.ndarray)
    )
    uses.update(map(address, [*plan.handed_out, *(x.array for x in viewed)]))
    merged: dict[str, Any] = {
        name: _merge(instructions, uses)
        for name, instructions in plan.parts.items()
        if name in ("forward", "backward")
    }
    return replace(plan, **merged)


def _merge(instructions: Sequence[Instruction], uses: Counter[int]) -> list[Instruction]:
    out: list[Instruction] = []
    for second in instructions:
        first = out[-1] if out else None
        if first is None or not first.op.activates or first.fields["activation"] != "identity":
            merged = None
        elif second.op is add or second.op is expression:
            merged = _fuse_sum(first, second, uses)
        elif second.op is activation_forward:
            merged = _fuse_forward(first, second, uses)
        else:
            merged = _fuse_backward(first, second, uses) if second.op is activation_backward else None
        if merged is None:
            out.append(second)
        else:
            out[-1] = merged
    return out


def _fuse_sum(first: Instruction, second: Instruction, uses: Counter[int]) -> Instruction | None:
    """`first` takes what is added to its output, which nobody else reads."""
    name = "dx" if "dx" in first.op.outputs else "y"
    z = first.fields.get(name)
    if (
        "other" not in first.op.arrays
        or first.fields["other"] is not None
        or z is None
        or uses[address(z)] != 2
    ):
        return None
    if second.op is expression and second.fields["steps"] != "y = add a b":
        return None
    a, b, y = (second.fields[key] for key in ("a", "b", "y"))
    if address(b) == address(z):
        a, b = b, a
    # A sum that is written where its other part lies has to read that part first.
    if any(np.may_share_memory(y, part) for part in (a, b)):
        return None
    if address(a) != address(z) or not all(
        array.size == z.size and array.flags.c_contiguous for array in (a, b, y)
    ):
        return None
    return replace(first, fields=first.fields | {"other": b.reshape(z.shape), name: y.reshape(z.shape)})


def _fuse_forward(first: Instruction, second: Instruction, uses: Counter[int]) -> Instruction | None:
    """`first` computes y, and activation_forward is all that reads it."""
    z = first.fields.get("y")
    if z is None or address(z) != address(second.fields["x"]) or uses[address(z)] != 2:
        return None
    return _activating(first, second, y=second.fields["y"].reshape(z.shape))


def _fuse_backward(first: Instruction, second: Instruction, uses: Counter[int]) -> Instruction | None:
    """`first` computes dx, and activation_backward is all that reads it; its y is the x of `first`."""
    dx = first.fields.get("dx")
    if dx is None or address(dx) != address(second.fields["dy"]) or uses[address(dx)] != 2:
        return None
    if address(second.fields["y"]) != address(first.fields["x"]):
        return None
    return _activating(first, second, dx=second.fields["dx"].reshape(dx.shape))


def _activating(first: Instruction, second: Instruction, **output: np.ndarray) -> Instruction:
    """`first` with the activation of `second`, which writes where `second` wrote."""
    (shape,) = (array.shape for array in output.values())
    slope = second.fields["slope"]
    activation = {name: second.fields[name] for name in ("activation", "alpha")}
    activation["slope"] = None if slope is None else slope.reshape(shape)
    return replace(first, fields=first.fields | output | activation)
