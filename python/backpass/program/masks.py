"""Masks: which steps of a row count, where rows have lengths."""

from collections.abc import Sequence

import numpy as np

from ..ops import to_number
from .arithmetic import elementwise
from .builder import Builder
from .tensor import Tensor


def _inside(builder: Builder, lengths: Tensor, shape: Sequence[int]) -> Tensor:
    """(B, T, 1, ...): 1 for the steps of a row of this shape (B, T, ...) up to its length, 0 behind."""
    after = (1,) * (len(shape) - 2)
    ends = builder.reshape(builder.run(to_number, x=lengths), (shape[0], 1, *after))
    places = Tensor(np.arange(shape[1], dtype=builder.dtype).reshape(1, -1, *after))
    return elementwise(builder, "lt", places, ends)


def counted_steps(builder: Builder, shape: Sequence[int], weight: np.ndarray | None) -> np.ndarray:
    """Weights (B, T, ...) that are 0 behind the length of a row, else those given, or 1."""
    lengths = builder.lengths
    assert lengths is not None
    mask = _inside(builder, lengths, shape)
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
