"""Maximum pooling of images with their channels last; a sequence is an image of height 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .contract import op
from .formulas import ACTIVATIONS
from .pool_samples import ADAPTIVE_CASES, ADAPTIVE_LARGE, CASES, LARGE, max_samples
from .window import Span, adaptive, adaptive_sizes, pooled_sizes, sliding, windows

SAMPLES = max_samples(CASES, LARGE, lambda dims: dims["kernel_h"] * dims["kernel_w"])
ADAPTIVE_SAMPLES = max_samples(ADAPTIVE_CASES, ADAPTIVE_LARGE, lambda dims: dims["H"] * dims["W"])


@op("x[B,H,W,C] -> y[B,P,Q,C] index[B,P,Q,C]:uint8?", samples=SAMPLES, sizes=pooled_sizes)
def max_pool2d_forward(
    x, y, index, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, padding_h: int = 0, padding_w: int = 0,
    dilation_h: int = 1, dilation_w: int = 1, ceil_mode: bool = False,
):  # fmt: skip
    """y = the maximum of a window, index = its place i · kernel_w + j there: the first one; NaN counts as the largest.

    The padding is -∞, and is no maximum where there is anything else.
    """
    down = sliding(x.shape[1], y.shape[1], kernel_h, stride_h, padding_h, dilation_h)
    across = sliding(x.shape[2], y.shape[2], kernel_w, stride_w, padding_w, dilation_w)
    _maxima(x, y, index, down, across, kernel_w)


@op(
    "x[B,H,W,C] y[B,P,Q,C] index[B,P,Q,C]:uint8 dy[B,P,Q,C] slope[B,H,W,C]? -> dx[B,H,W,C]",
    samples=SAMPLES,
    sizes=pooled_sizes,
    activates=True,
)
def max_pool2d_backward(
    x, y, index, dy, slope, dx, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, padding_h: int = 0,
    padding_w: int = 0, dilation_h: int = 1, dilation_w: int = 1, ceil_mode: bool = False, activation: str = "identity",
    alpha: float = 0.0,
):  # fmt: skip
    """dx = Σ dy f'(z) over the windows of which a place is the maximum, where x = f(z); f'(z) is read from `slope`, if given.

    Else f'(z) follows from y, which is x at the maximum.
    """
    down = sliding(x.shape[1], y.shape[1], kernel_h, stride_h, padding_h, dilation_h)
    across = sliding(x.shape[2], y.shape[2], kernel_w, stride_w, padding_w, dilation_w)
    _spread(y, index, dy, slope, dx, down, across, kernel_w, activation, alpha)


@op("x[B,H,W,C] -> y[B,P,Q,C] index[B,P,Q,C]:int32?", samples=ADAPTIVE_SAMPLES, sizes=adaptive_sizes)
def adaptive_max_pool2d_forward(x, y, index, output_h: int, output_w: int):
    """y = the maximum of the rows ⌊pH/P⌋ ... ⌈(p+1)H/P⌉ and columns ⌊qW/Q⌋ ... ⌈(q+1)W/Q⌉; index = its place h W + w."""
    down, across = adaptive(x.shape[1], output_h), adaptive(x.shape[2], output_w)
    _maxima(x, y, index, down, across, 0)


@op(
    "x[B,H,W,C] y[B,P,Q,C] index[B,P,Q,C]:int32 dy[B,P,Q,C] slope[B,H,W,C]? -> dx[B,H,W,C]",
    samples=ADAPTIVE_SAMPLES,
    activates=True,
)
def adaptive_max_pool2d_backward(
    x, y, index, dy, slope, dx, activation: str = "identity", alpha: float = 0.0
):
    """dx = Σ dy f'(z) over the windows of which a place is the maximum, as in max_pool2d_backward."""
    down, across = adaptive(x.shape[1], y.shape[1]), adaptive(x.shape[2], y.shape[2])
    _spread(y, index, dy, slope, dx, down, across, 0, activation, alpha)


def _numbers(rows: Span, cols: Span, kernel_w: int, width: int) -> Any:
    """The numbers of a window's places: i · kernel_w + j, or with kernel_w 0 where they are in the image."""
    i, j = np.arange(rows.first, rows.last), np.arange(cols.first, cols.last)
    if not kernel_w:
        i, j, kernel_w = i + rows.origin, j + cols.origin, width
    return (i[:, None] * kernel_w + j).reshape(1, -1, 1)


def _maxima(x, y, index, down: Sequence[Span], across: Sequence[Span], kernel_w: int) -> None:
    for out, inside, rows, cols in windows(down, across):
        taps = x[inside].reshape(len(x), -1, x.shape[3]) if x.size else x[:, 0]
        if not taps.size:
            y[out] = -np.inf
            if index is not None:
                index[out] = 0
            continue
        at = taps.argmax(axis=1)[:, None]
        y[out] = np.take_along_axis(taps, at, axis=1)[:, 0]
        if index is not None:
            index[out] = _numbers(rows, cols, kernel_w, x.shape[2])[0, at[:, 0], 0]


def _spread(
    y, index, dy, slope, dx, down: Sequence[Span], across: Sequence[Span], kernel_w: int, activation: str, alpha: float
) -> None:  # fmt: skip
    given = slope is None and activation != "identity"
    flowing = dy * ACTIVATIONS[activation].slope(y, alpha) if given else dy
    dx[...] = 0
    for out, inside, rows, cols in windows(down, across):
        taps = dx[inside]
        here = _numbers(rows, cols, kernel_w, dx.shape[2]) == index[out][:, None]
        part = np.where(here, flowing[out][:, None], 0).reshape(taps.shape)
        dx[inside] = taps + (part if slope is None else part * slope[inside])
