"""Which dimension of a network's output holds its outputs, where the others are places or steps."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .plan import InputSpec
from .several import on_each, parts_of
from .tensor import Tensor

# What emits a network for some inputs, and gives its outputs.
Emit = Callable[[Sequence[InputSpec]], Any]


def dimensions_of_outputs(emit: Emit, inputs: Sequence[InputSpec]) -> Any:
    """For each output the dimension of its outputs, such as channels; 0 where that is not known.

    It is the one that lies last in memory, as channels do behind convolutions, or else the only one whose size follows no
    dimension of an input.
    """
    out = emit(inputs)
    laid = on_each(lambda y: _last_in_memory(y.array), out)
    if all(
        y.array.ndim <= 2 or 0 < at < y.array.ndim - 1
        for at, y in zip(*map(parts_of, (laid, out)), strict=True)
    ):
        return laid
    follows = iter(_following(emit, parts_of(out), inputs))
    return on_each(lambda at, y: _told_by(at, y.array.ndim - 1, next(follows)), laid, out)


def _told_by(at: int, last: int, follows: set[int]) -> int:
    """The dimension of the outputs; at: the one that lies last in memory. follows: those whose sizes follow an input's."""
    if last < 2 or 0 < at < last:
        return at
    still = [axis for axis in range(1, last + 1) if axis not in follows]
    if follows and len(still) == 1:
        return still[0]
    return at if last == 2 else 0


def _last_in_memory(array: np.ndarray) -> int:
    """The dimension along which neighbours lie side by side, 0 for none; of several one of a single element."""
    last = array.ndim - 1
    side_by_side = [
        axis
        for axis in range(1, array.ndim)
        if array.strides[axis] == array.itemsize or (axis == last and not array.strides[axis])
    ]
    single = [axis for axis in side_by_side if array.shape[axis] == 1]
    found: int = (single or side_by_side or [0])[-1]
    return found


def _following(emit: Emit, outputs: Sequence[Tensor], inputs: Sequence[InputSpec]) -> list[set[int]]:
    """The dimensions of each output whose sizes follow one of an input."""
    follows: list[set[int]] = [set() for _ in outputs]
    for number, spec in enumerate(inputs):
        for axis in range(1, len(spec.shape)):
            for size in (2 * spec.shape[axis], spec.shape[axis] + 1, spec.shape[axis] - 1):
                shape = (*spec.shape[:axis], size, *spec.shape[axis + 1 :])
                tried = [*inputs[:number], spec._replace(shape=shape), *inputs[number + 1 :]]
                with suppress(Exception):
                    others = parts_of(emit(tried))
                    for of_one, y, other in zip(follows, outputs, others, strict=True):
                        pairs = zip(y.shape, other.shape, strict=True)
                        of_one |= {place for place, (a, b) in enumerate(pairs) if place and a != b}
                    break
    return follows
