"""Tensors of a program, and the flat vectors that hold all parameters and gradients of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..system.memory import ALIGNMENT, aligned

# Of `along`: steps are mixed with something else, or lie along several dimensions.
SEVERAL = -1
# Parameters start at multiples of this many elements: aligned for float32 and float64.
ITEM = ALIGNMENT // 4


@dataclass(eq=False, repr=False)
class Tensor:
    """A buffer and its place in the graph."""

    array: np.ndarray
    requires_grad: bool = False
    # Where a parameter's gradient goes.
    gradient: np.ndarray | None = None
    # Of an output, the dimension along which the steps of rows with lengths lie: 0 for none, SEVERAL for no single one.
    along: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


class Parameters:
    """All parameters of a model in one flat vector, all gradients in another; layers see views."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.shapes: list[tuple[int, ...]] = []
        self.offsets: list[int] = []
        self.size = 0
        # Numbers of parameters that are not trained.
        self.frozen: set[int] = set()
        # Numbers of tables of which a step trains the rows that occur in it.
        self.sparse: set[int] = set()
        self._tensors: dict[int, Tensor] = {}
        self.params = self.grads = np.zeros(0, self.dtype)

    def add(self, shape: Sequence[int]) -> int:
        """Reserve a parameter; returns its number."""
        self.shapes.append(tuple(shape))
        self.offsets.append(self.size)
        count = prod(shape)
        self.size += -(-count // ITEM) * ITEM
        return len(self.shapes) - 1

    def allocate(self) -> None:
        """Make the flat vectors; the padding between parameters stays zero for ever."""
        self.params = aligned((self.size,), self.dtype)
        self.grads = aligned((self.size,), self.dtype)

    def part(self, number: int) -> slice:
        """Where the flat vectors hold a parameter."""
        start = self.offsets[number]
        return slice(start, start + prod(self.shapes[number]))

    def dense(self) -> list[np.ndarray]:
        """The parameters without the tables of which a step trains some rows."""
        if not self.sparse:
            return [self.params]
        apart = [self.part(number) for number in sorted(self.sparse)]
        starts, ends = [0, *(part.stop for part in apart)], [*(part.start for part in apart), self.size]
        return [self.params[start:end] for start, end in zip(starts, ends, strict=True)]

    def view(self, number: int, flat: np.ndarray) -> np.ndarray:
        """The part of a flat vector that belongs to a parameter."""
        return flat[self.part(number)].reshape(self.shapes[number])

    def tensor(self, number: int) -> Tensor:
        """A parameter as a tensor of the graph: the same object each time, so that shared layers add their gradients up."""
        if number not in self._tensors:
            self._tensors[number] = Tensor(
                self.view(number, self.params), True, self.view(number, self.grads)
            )
        return self._tensors[number]


def address(array: np.ndarray) -> int:
    """Where an array's data start: the same for all its reshaped views."""
    start: int = array.__array_interface__["data"][0]
    return start


def dense_order(array: np.ndarray) -> list[int] | None:
    """The axes in the order in which the elements lie in memory; None where that is C's, or where there are gaps."""
    if array.flags.c_contiguous:
        return None
    axes = sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], axis))
    return axes if array.transpose(axes).flags.c_contiguous else None


def reshaped(array: np.ndarray, shape: Sequence[int]) -> np.ndarray | None:
    """The same memory in another shape; None where its strides do not allow that."""
    other = array.reshape(shape)
    return other if address(other) == address(array) or not array.size else None
