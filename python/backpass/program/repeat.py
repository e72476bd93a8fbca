"""Whether a network emits the same program again: a `forward` may only depend on shapes and on what the model knows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ops import Op
from .build import Network, emit_network, input_tensors
from .builder import Builder, Instruction
from .plan import InputSpec
from .several import parts_of
from .tensor import Tensor, address
from .trace import calling_line

DIFFERS = (
    "forward computes something else when it runs again for the same shapes: it may depend on shapes alone; bp.randn_like and"
    " F.dropout draw anew in each step, and buffers hold state"
)


class Lined(Builder):
    """A Builder that knows the user's line behind each instruction."""

    def __init__(self, dtype: np.dtype[Any], training: bool) -> None:
        super().__init__(dtype, training)
        self.lines: list[str] = []

    def _append(self, op: Op, tensors: dict[str, Tensor | None], scalars: dict[str, Any]) -> None:
        super()._append(op, tensors, scalars)
        self.lines.append(calling_line())


def check_repeats(
    net: Network, dtype: np.dtype[Any], inputs: Sequence[InputSpec], training: bool = False
) -> None:
    """Emit the network twice; ValueError shows the line of `forward` where the second program differs."""
    first, second = Lined(dtype, training), Lined(dtype, training)
    outputs = [
        emit_network(net, builder, input_tensors(builder, inputs), inputs) for builder in (first, second)
    ]
    shapes = [[y.shape for y in parts_of(out)] for out in outputs]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{DIFFERS}; its output had the shape {shapes[0][0]}, then {shapes[1][0]}")
    both = (*first.instructions, *second.instructions)
    written = {address(i.fields[name]) for i in both for name in i.op.outputs if i.fields[name] is not None}
    for number, (a, b) in enumerate(zip(first.instructions, second.instructions, strict=False)):
        if a.op is not b.op or a.layer != b.layer or not _same(a, b, written):
            raise ValueError(f"{DIFFERS}\n  {second.lines[number]}")
    if len(first.lines) != len(second.lines):
        longer = max(first.lines, second.lines, key=len)
        raise ValueError(f"{DIFFERS}\n  {longer[min(len(first.lines), len(second.lines))]}")


def _same(a: Instruction, b: Instruction, written: set[int]) -> bool:
    """Whether two calls have the same scalars, and arrays of the same shapes; constants are the same to the bit."""
    for name, value in a.fields.items():
        other = b.fields[name]
        if not isinstance(value, np.ndarray) or not isinstance(other, np.ndarray):
            if repr(value) != repr(other):
                return False
        elif (
            value.shape != other.shape
            or value.dtype != other.dtype
            or (
                address(value) not in written
                and address(value) != address(other)
                and value.tobytes() != other.tobytes()
            )
        ):
            return False
    return True
