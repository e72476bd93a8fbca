"""Views of tensors: the same buffer with other strides. They cost nothing until an op needs them contiguous.

The gradient of a view is a view of its gradient, or is written into the place of the part that the view shows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ops import expression
from .builder import Builder
from .sums import sum_to
from .tensor import Tensor


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
    return builder.record(
        y, lambda dy: builder.add_gradient(x, builder.view(dy, dy.array.transpose(back), whole=True))
    )


def part(builder: Builder, x: Tensor, index: Any) -> Tensor:
    """x[index] for integers, slices, None and Ellipsis."""
    y = builder.view(x, x.array[index])

    def backward(dy: Tensor) -> None:
        place = builder.parts.get(x)
        if place is None:
            # The parts of x that no view shows have no gradient.
            place = builder.parts[x] = builder.tensor(x.shape)
            builder.run(expression, y=place, steps="y = copy 0.0")
            builder.add_gradient(x, place)
        into = builder.view(place, place.array[index])
        builder.run(expression, a=dy, b=into, y=into, steps="y = add a b")

    return builder.record(y, backward)


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
