"""Whether a network emits the same program again: a `forward` may only depend on shapes and on what the model knows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import Op
from .builder import Builder, Instruction
from .several import parts_of
from .tensor import Tensor, address
from .trace import calling_line

DIFFERS = (
    "forward computes something else when it runs again for the same shapes: it may depend on shapes alone; bp.randn_like and"
    " F.dropout draw anew in each step, and buffers hold state"
)


class Lined(Builder):
    """A Builder that knows the user's line behind each instruction."""

    def __init__(self, dtype: np.dtype[Any], training: bool, **options: Any) -> None:
        super().__init__(dtype, training, **options)
        self.lines: list[str] = []

    def _append(self, op: Op, tensors: dict[str, Tensor | None], scalars: dict[str, Any]) -> None:
        super()._append(op, tensors, scalars)
        self.lines.append(calling_line())


def check_repeats(first: Builder, out: Any, emit: Callable[[Builder], Any]) -> None:
    """Emit a network again; ValueError shows the line of `forward` where that program differs from the first one.

    first, out: a builder that has just emitted the network, and what came out; emit: does it again.
    """
    options = {name: getattr(first, name) for name in ("step", "seed", "precision", "shared")}
    second = Lined(first.dtype, first.training, **options)
    shapes = [[y.shape for y in parts_of(output)] for output in (out, emit(second))]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{DIFFERS}; its output had the shape {shapes[0][0]}, then {shapes[1][0]}")
    pairs = [*zip(first.instructions, second.instructions, strict=False)]
    written = {
        address(i.fields[name])
        for i in (*first.instructions, *second.instructions)
        for name in i.op.outputs
        if i.fields[name] is not None
    }
    for number, (a, b) in enumerate(pairs):
        if a.op is not b.op or a.layer != b.layer or not _same(a, b, written):
            raise ValueError(f"{DIFFERS}\n  {second.lines[number]}")
    if len(first.instructions) != len(second.instructions):
        # Of a second program that is shorter, its last line, if it has any.
        line = second.lines[len(pairs) :] or second.lines[-1:]
        raise ValueError("\n  ".join([DIFFERS, *line[:1]]))


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
