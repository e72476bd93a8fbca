"""Channels of (B, C), (B, C, L) and (B, C, H, W) as ops want them, chosen by the order of memory."""

from collections.abc import Sequence
from math import prod

import numpy as np

from .builder import Builder
from .order import channels_first, channels_last
from .tensor import Tensor


def lies_channels_last(x: Tensor) -> bool:
    """Whether the channels of (B, C, ...) lie last in memory, and nowhere else."""
    return not x.array.flags.c_contiguous and bool(np.moveaxis(x.array, 1, -1).flags.c_contiguous)


def rows_of_channels(builder: Builder, x: Tensor) -> Tensor:
    """(B, C, ...) as [B,L,C]: a view where the channels lie last, else a copy."""
    batch, channels = x.shape[:2]
    images = x if len(x.shape) == 2 else channels_last(builder, x)
    return builder.reshape(images, (batch, prod(x.shape[2:]), channels))


def from_rows_of_channels(builder: Builder, y: Tensor, shape: Sequence[int]) -> Tensor:
    """The way back: [B,L,C] as a view of (B, C, ...)."""
    batch, channels, *rest = shape
    if not rest:
        return builder.reshape(y, shape)
    height = rest[0] if len(rest) == 2 else 1
    return channels_first(builder, builder.reshape(y, (batch, height, rest[-1], channels)), len(shape))


def planes(builder: Builder, x: Tensor) -> Tensor:
    """(B, C, ...) as [B,C,L]; as [B·L,C,1] where the channels lie last, which means the same to statistics of channels."""
    batch, channels, length = *x.shape[:2], prod(x.shape[2:])
    if lies_channels_last(x):
        return builder.reshape(channels_last(builder, x), (batch * length, channels, 1))
    return builder.reshape(x, (batch, channels, length))


def from_planes(builder: Builder, y: Tensor, x: Tensor) -> Tensor:
    """The way back, in the order of memory of x."""
    if lies_channels_last(x):
        batch, channels = x.shape[:2]
        return from_rows_of_channels(
            builder, builder.reshape(y, (batch, prod(x.shape[2:]), channels)), x.shape
        )
    return builder.reshape(y, x.shape)
