"""Sums and maxima over dimensions of tensors."""

from collections.abc import Sequence

import numpy as np

from ..ops import expression, max_forward
from .builder import Builder
from .sums import sums
from .tensor import Tensor
from .views import permute


def total(builder: Builder, x: Tensor, axes: Sequence[int], scale: float = 1.0) -> Tensor:
    """scale · the sum of x over some axes, which are gone."""
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    y = sums(builder, builder.view(x, x.array.transpose([*kept, *axes])), len(kept), scale)
    y.requires_grad = x.requires_grad
    lone = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))

    def backward(dy: Tensor) -> None:
        scaled = dy if scale == 1 else builder.run(expression, a=dy, steps=f"y = mul a {scale!r}")
        scaled = builder.contiguous(scaled)
        column = scaled.array.reshape(lone)
        builder.add_gradient(x, builder.view(scaled, np.broadcast_to(column, x.shape)))

    return builder.record(y, backward)


def largest(builder: Builder, x: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The largest elements of x over some axes, which are gone, and where the first of them is along those axes."""
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    rows = permute(builder, x, [*kept, *axes])
    if len(axes) > 1:
        rows = builder.reshape(rows, (*rows.shape[: len(kept)], -1))
    y = builder.emit(max_forward, x=rows)
    return y, builder.output("largest")
