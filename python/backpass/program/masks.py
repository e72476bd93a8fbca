"""Masks: which steps of a row count, where rows have lengths."""

from collections.abc import Sequence

import numpy as np

from ..ops import to_number
from .arithmetic import elementwise
from .builder import Builder
from .tensor import Tensor


def _inside(builder: Builder, lengths: Tensor, shape: Sequence[int], axis: int = 1) -> Tensor:
    """(B, 1, ..., T, 1, ...): 1 for the steps, along an axis, of a row of this shape up to its length, 0 behind."""
    ones = [1] * (len(shape) - 1)
    ends = builder.reshape(builder.run(to_number, x=lengths), (shape[0], *ones))
    sizes = [1, *ones]
    sizes[axis] = shape[axis]
    places = Tensor(np.arange(shape[axis], dtype=builder.dtype).reshape(sizes))
    return elementwise(builder, "lt", places, ends)


def counted_steps(
    builder: Builder, shape: Sequence[int], weight: np.ndarray | None, axis: int = 1
) -> np.ndarray:
    """Weights of this shape, 0 behind the length of a row along an axis, else those given, or 1."""
    lengths = builder.lengths
    assert lengths is not None
    mask = _inside(builder, lengths, shape, axis)
    if weight is not None:
        return elementwise(builder, "mul", mask, Tensor(weight)).array
    whole = builder.view(mask, np.broadcast_to(mask.array, shape))
    return builder.contiguous(whole).array


def without_padding(builder: Builder, x: Tensor) -> Tensor:
    """x (B, T, ...) with 0 behind the length of each row, whatever stands there; x itself where rows have no lengths."""
    lengths = builder.lengths
    if lengths is None:
        return x
    if lengths.shape != x.shape[:1]:
        raise ValueError(
            f"lengths has {lengths.shape[0]} rows, but a layer that reads them gets {x.shape[0]} rows"
        )
    return elementwise(builder, "where", _inside(builder, lengths, x.shape), x, 0.0)
