"""Channels of (B, C), (B, C, L) and (B, C, H, W) as ops want them: views, and copies where the memory has another order."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from .builder import Builder
from .tensor import Tensor


def lies_channels_last(x: Tensor) -> bool:
    """Whether the channels of (B, C, ...) lie last in memory, and nowhere else."""
    return not x.array.flags.c_contiguous and bool(np.moveaxis(x.array, 1, -1).flags.c_contiguous)


def channels_last(builder: Builder, x: Tensor) -> Tensor:
    """(B, C, H, W) as a view (B, H, W, C); (B, C, L) as (B, 1, L, C): what ops on images take."""
    axes = (0, 2, 3, 1)
    images = x.array if len(x.shape) == 4 else x.array[:, :, None]
    y = builder.view(x, images.transpose(axes), whole=True)

    def backward(dy: Tensor) -> None:
        dx = dy.array.transpose(0, 3, 1, 2)
        builder.add_gradient(x, builder.view(dy, dx if len(x.shape) == 4 else dx[:, :, 0], whole=True))

    return builder.record(y, backward)


def channels_first(builder: Builder, y: Tensor, ndim: int = 4) -> Tensor:
    """The way back: a view (B, C, H, W) of (B, H, W, C), or with ndim 3 (B, C, L) of (B, 1, L, C)."""
    images = y.array.transpose(0, 3, 1, 2)
    shown = builder.view(y, images if ndim == 4 else images[:, :, 0], whole=True)

    def backward(dx: Tensor) -> None:
        array = dx.array if ndim == 4 else dx.array[:, :, None]
        builder.add_gradient(y, builder.view(dx, array.transpose(0, 2, 3, 1), whole=True))

    return builder.record(shown, backward)


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


def in_planes(builder: Builder, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """compute(x) of (B, C, H, W) as (B, P, H, W, c): (B, C, H, W, 1), or (B, 1, H, W, C) where the channels lie last in memory.

    For ops that treat all channels of a pixel alike: they keep the order of the memory, and nothing is copied.
    """
    last = lies_channels_last(x)

    def there(array: np.ndarray) -> np.ndarray:
        return array.transpose(0, 2, 3, 1)[:, None] if last else array[..., None]

    def back(array: np.ndarray) -> np.ndarray:
        return array[:, 0].transpose(0, 3, 1, 2) if last else array[..., 0]

    def seen(
        x: Tensor, view: Callable[[np.ndarray], np.ndarray], other: Callable[[np.ndarray], np.ndarray]
    ) -> Tensor:
        y = builder.view(x, view(x.array), whole=True)
        return builder.record(
            y, lambda dy: builder.add_gradient(x, builder.view(dy, other(dy.array), whole=True))
        )

    return seen(compute(seen(x, there, back)), back, there)
