"""Constants: what each instruction of a program reads that the program does not compute, copies of it looked through."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ..ops import Op, expression
from .blocks import arrays_of
from .builder import Builder
from .tensor import address


class Reading(NamedTuple):
    """What a call is, and by name the constants that it reads: where they come from, and once what is repeated."""

    number: int
    op: Op
    layer: str
    scalars: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    constants: dict[str, np.ndarray]
    # The layer and the line of the user's that it comes from, for messages.
    place: str


class Computed:
    """The buffers of a program."""

    def __init__(self, buffers: Iterable[np.ndarray]) -> None:
        self.bounds = sorted(byte_bounds(buffer) for buffer in buffers if buffer.size)

    def bounds_of(self, array: np.ndarray) -> tuple[int, int] | None:
        """From which byte to which the buffer lies that an array shows; None for a constant."""
        at = bisect_right(self.bounds, (address(array), 2**63)) - 1
        return self.bounds[at] if at >= 0 and address(array) < self.bounds[at][1] else None


def computed(builder: Builder) -> Computed:
    """What a program computes, is given, or carries on."""
    carried = builder.carried.arrays.values() if builder.carried is not None else ()
    return Computed([*builder.buffers, *carried])


def place_of(builder: Builder, number: int) -> str:
    """Where an instruction comes from, as the end of a message."""
    layer, lines = builder.instructions[number].layer, getattr(builder, "lines", ())
    of_user = f"\n  {lines[number]}" if lines and lines[number] else ""
    return (f", in the layer {layer!r}" if layer else "") + of_user


def readings(builder: Builder) -> list[Reading]:
    """The instructions in their order, but for those that copy what was computed, or a constant as a whole."""
    buffers = computed(builder)
    copies: dict[tuple[int, int], np.ndarray] = {}
    found: list[Reading] = []
    for number, instruction in enumerate(builder.instructions):
        arrays = arrays_of(instruction)
        constants: dict[str, np.ndarray] = {}
        for name in instruction.op.inputs:
            if name in arrays and arrays[name].size:
                bounds = buffers.bounds_of(arrays[name])
                if bounds is None:
                    constants[name] = _once(arrays[name])
                elif bounds in copies:
                    constants[name] = copies[bounds]
        if instruction.op is expression and instruction.fields["steps"] == "y = copy a":
            if "a" not in constants:
                continue
            y = arrays["y"]
            bounds = buffers.bounds_of(y)
            if bounds is not None and y.nbytes == bounds[1] - bounds[0] and y.flags.c_contiguous:
                copies[bounds] = constants["a"]
                continue
        scalars = {name: instruction.fields[name] for name in instruction.op.scalars}
        shapes = {name: array.shape for name, array in arrays.items()}
        place = place_of(builder, number)
        found.append(Reading(number, instruction.op, instruction.layer, scalars, shapes, constants, place))
    return found


def _once(array: np.ndarray) -> np.ndarray:
    """An array without what it repeats along a dimension."""
    once: np.ndarray = array[tuple(slice(None if stride else 1) for stride in array.strides)]
    return once
