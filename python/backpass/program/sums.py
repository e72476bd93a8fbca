"""Sums over the last dimensions of tensors of any strides; they have no place on the tape."""

from collections.abc import Sequence

import numpy as np

from ..ops import expression, reduce_sum
from .builder import Builder
from .tensor import Tensor


def sum_to(builder: Builder, x: Tensor, shape: Sequence[int]) -> Tensor:
    """x summed over the dimensions that were repeated to make it of this shape."""
    new = len(x.shape) - len(shape)
    axes = [a for a in range(len(x.shape)) if a < new or (shape[a - new] == 1 and x.shape[a] != 1)]
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    y = sums(builder, builder.view(x, x.array.transpose([*kept, *axes])), len(kept))
    return Tensor(y.array.reshape(shape))


def sums(builder: Builder, x: Tensor, kept: int, scale: float = 1.0) -> Tensor:
    """Sum over the dimensions behind the first `kept`: over as many at a time as lie one behind the other."""
    shape = x.shape
    if len(shape) == kept:
        return builder.run(expression, a=x, steps=f"y = mul a {scale!r}")
    while len(shape) > kept:
        merged, count = _merged(x.array, kept)
        last = len(shape) - count == kept
        x = builder.run(reduce_sum, x=builder.view(x, merged), scale=scale if last else 1.0)
        shape = x.shape
    return x


def _merged(array: np.ndarray, kept: int) -> tuple[np.ndarray, int]:
    """A view with the last dimensions as one, and how many of them it was."""
    for count in range(array.ndim - kept, 1, -1):
        view = array.view()
        try:
            view.shape = (*array.shape[: array.ndim - count], int(np.prod(array.shape[array.ndim - count :])))
        except AttributeError:  # they do not lie one behind the other
            continue
        return view, count
    return array, 1
