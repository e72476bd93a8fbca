"""Views of tensors: the same buffer with other strides. They cost nothing until an op needs them contiguous.

The gradient of a view is a view of its gradient, or is written into the place of the part that the view shows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ops import expression
from .builder import Builder
from .sums import sum_to
from .tensor import Tensor, address


def expand(builder: Builder, x: Tensor, shape: Sequence[int]) -> Tensor:
    """x repeated along dimensions of size 1 and along new ones in front; its gradient is the sum over them."""
    if x.shape == tuple(shape):
        return x
    y = builder.view(x, np.broadcast_to(x.array, shape))
    return builder.record(y, lambda dy: builder.add_gradient(x, sum_to(builder, dy, x.shape)))


def permute(builder: Builder, x: Tensor, axes: Sequence[int]) -> Tensor:
    """x with its dimensions in another order."""
    back = np.argsort(axes)
    y = builder.view(x, x.array.transpose(axes), whole=True)
    if place := builder.places.get(x):
        builder.places[y] = lambda: None if (found := place()) is None else found.transpose(axes)
    return builder.record(
        y, lambda dy: builder.add_gradient(x, builder.view(dy, dy.array.transpose(back), whole=True))
    )


class Parts:
    """The parts of a tensor that views show, and its gradient, which theirs make up."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.indices: list[Any] = []
        # Which elements views show; and whether no element is shown twice.
        self._shown = np.zeros(x.shape, bool)
        self._apart = True
        # The numbers of the parts whose places are given away, and of those whose gradients are there.
        self._given: set[int] = set()
        self._there: set[int] = set()
        self._gradient: Tensor | None = None

    def show(self, index: Any) -> int:
        """Another part; returns its number."""
        if self._apart:
            self._apart = not self._shown[index].any()
            self._shown[index] = True
        self.indices.append(index)
        return len(self.indices) - 1

    def place(self, builder: Builder, number: int) -> np.ndarray | None:
        """Where the first one who asks may write a gradient of a part; None for others, and where parts share elements."""
        if number in self._given or not self._apart:
            return None
        self._given.add(number)
        place: np.ndarray = self._gradient_of(builder).array[self.indices[number]]
        return place

    def take(self, builder: Builder, number: int, dy: Tensor) -> None:
        """The gradient of a part."""
        gradient = self._gradient_of(builder)
        into = builder.view(gradient, gradient.array[self.indices[number]])
        self._there.add(number)
        if not self._apart:
            builder.run(expression, a=dy, b=into, y=into, steps="y = add a b")
        elif address(dy.array) != address(into.array) or dy.array.strides != into.array.strides:
            builder.run(expression, a=dy, y=into, steps="y = copy a")

    def complete(self, builder: Builder) -> None:
        """No gradient flows back to the parts that are missing."""
        if self._gradient is None or not self._covers():
            return
        for number in {*range(len(self.indices))} - self._there:
            self._zero(builder, builder.view(self._gradient, self._gradient.array[self.indices[number]]))
            self._there.add(number)

    def _covers(self) -> bool:
        return self._apart and bool(self._shown.all())

    def _gradient_of(self, builder: Builder) -> Tensor:
        if self._gradient is None:
            self._gradient = builder.tensor(self.x.shape)
            if not self._covers():
                self._zero(builder, self._gradient)
            builder.add_gradient(self.x, self._gradient)
        return self._gradient

    @staticmethod
    def _zero(builder: Builder, gradient: Tensor) -> None:
        builder.run(expression, y=gradient, steps="y = copy 0.0")


def part(builder: Builder, x: Tensor, index: Any) -> Tensor:
    """x[index] for integers, slices, None and Ellipsis."""
    y = builder.view(x, x.array[index])
    if not x.requires_grad:
        return y
    if x not in builder.parts:
        builder.parts[x] = Parts(x)
    parts: Parts = builder.parts[x]
    number = parts.show(index)
    builder.places[y] = lambda: parts.place(builder, number)
    return builder.record(y, lambda dy: parts.take(builder, number, dy))


def cat(builder: Builder, tensors: Sequence[Tensor], axis: int) -> Tensor:
    """The tensors one behind the other along an axis."""
    shape = list(tensors[0].shape)
    shape[axis] = sum(x.shape[axis] for x in tensors)
    y = builder.tensor(shape, tensors[0].array.dtype, any(x.requires_grad for x in tensors))
    places, start = [], 0
    for x in tensors:
        places.append((slice(None),) * axis + (slice(start, start + x.shape[axis]),))
        start += x.shape[axis]
        builder.copied(x, builder.view(y, y.array[places[-1]]))

    def backward(dy: Tensor) -> None:
        for x, place in zip(tensors, places, strict=True):
            if x.requires_grad:
                builder.add_gradient(x, builder.view(dy, dy.array[place]))

    return builder.record(y, backward)
