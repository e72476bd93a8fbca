"""Which dimension of a network's output holds its outputs, where the others are places or steps."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .builder import Builder
from .plan import InputSpec
from .several import parts_of
from .tensor import Tensor

# What emits a network for some inputs, and gives its outputs.
Emit = Callable[[Builder, Sequence[InputSpec]], Any]


def mark_outputs(emit: Emit, outputs: Sequence[Tensor], inputs: Sequence[InputSpec]) -> list[int]:
    """Of each output the dimension of its outputs, such as channels; 0 where that is not known.

    It is the one that lies last in memory, as channels do behind convolutions, or else the only one whose size follows no
    dimension of an input.
    """
    found = [1 if y.array.ndim == 2 else _last_in_memory(y.array) for y in outputs]
    if all(
        (at and at != y.array.ndim - 1) or y.array.ndim == 2 for at, y in zip(found, outputs, strict=True)
    ):
        return found
    follows = _following(emit, outputs, inputs)
    for number, y in enumerate(outputs):
        last = y.array.ndim - 1
        if last < 2 or found[number] not in (0, last):
            continue
        still = [axis for axis in range(1, last + 1) if axis not in follows[number]]
        if follows[number] and len(still) == 1:
            found[number] = still[0]
        elif last > 2:
            found[number] = 0
    return found


def _last_in_memory(array: np.ndarray) -> int:
    """The dimension along which neighbours lie side by side, 0 for none; of several one of a single element."""
    last = array.ndim - 1
    side_by_side = [
        axis
        for axis in range(1, array.ndim)
        if array.strides[axis] == array.itemsize or (axis == last and not array.strides[axis])
    ]
    single = [axis for axis in side_by_side if array.shape[axis] == 1]
    return (single or side_by_side or [0])[-1]


def _following(emit: Emit, outputs: Sequence[Tensor], inputs: Sequence[InputSpec]) -> list[set[int]]:
    """The dimensions of each output whose sizes follow one of an input."""
    follows: list[set[int]] = [set() for _ in outputs]
    for number, spec in enumerate(inputs):
        for axis in range(1, len(spec.shape)):
            for size in (2 * spec.shape[axis], spec.shape[axis] + 1, spec.shape[axis] - 1):
                shape = (*spec.shape[:axis], size, *spec.shape[axis + 1 :])
                tried = [*inputs[:number], spec._replace(shape=shape), *inputs[number + 1 :]]
                with suppress(Exception):
                    others = parts_of(emit(Builder(outputs[0].array.dtype, training=False), tried))
                    for of_one, y, other in zip(follows, outputs, others, strict=True):
                        pairs = zip(y.shape, other.shape, strict=True)
                        of_one |= {place for place, (a, b) in enumerate(pairs) if place and a != b}
                    break
    return follows
