"""Sums and maxima over dimensions of tensors. The dimensions that go are `axes`."""

from collections.abc import Sequence

import numpy as np

from ..ops import max_forward
from .arithmetic import step
from .builder import Builder
from .sums import sums
from .tensor import Tensor
from .views import permute


def total(builder: Builder, x: Tensor, axes: Sequence[int], scale: float = 1.0) -> Tensor:
    """scale · the sum of x over some axes, which are gone."""
    y = _summed(builder, x, axes, scale)
    y.requires_grad = x.requires_grad

    def backward(dy: Tensor) -> None:
        scaled = dy if scale == 1 else step(builder, "mul", dy, scale)
        builder.add_gradient(x, _repeated(builder, scaled, x.shape, axes))

    return builder.record(y, backward)


def largest(builder: Builder, x: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The largest elements of x over some axes, which are gone, and where the first of them is along those axes."""
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    rows = permute(builder, x, [*kept, *axes])
    if len(axes) > 1:
        rows = builder.reshape(rows, (*rows.shape[: len(kept)], -1))
    y = builder.emit(max_forward, x=rows)
    return y, builder.output("largest")


def largest_shared(builder: Builder, x: Tensor, axes: Sequence[int]) -> Tensor:
    """The largest elements of x over some axes, which are gone; equal ones share the gradient."""
    values, _ = largest(builder, Tensor(x.array), axes)
    y = Tensor(values.array, x.requires_grad)

    def backward(dy: Tensor) -> None:
        chosen = step(builder, "eq", x, _repeated(builder, y, x.shape, axes))
        share = step(builder, "div", dy, _summed(builder, chosen, axes))
        builder.add_gradient(x, step(builder, "mul", chosen, _repeated(builder, share, x.shape, axes)))

    return builder.record(y, backward)


def _summed(builder: Builder, x: Tensor, axes: Sequence[int], scale: float = 1.0) -> Tensor:
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    return sums(builder, builder.view(x, x.array.transpose([*kept, *axes])), len(kept), scale)


def _repeated(builder: Builder, y: Tensor, shape: Sequence[int], axes: Sequence[int]) -> Tensor:
    """y along the axes that it lacks, for this shape with them: a view."""
    y = builder.contiguous(y)
    lone = [1 if axis in axes else size for axis, size in enumerate(shape)]
    return builder.view(y, np.broadcast_to(y.array.reshape(lone), shape))
