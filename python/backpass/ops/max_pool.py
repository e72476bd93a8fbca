"""Maximum pooling of images with their channels last; a sequence is an image of height 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .contract import Dims, op
from .formulas import ACTIVATIONS
from .window import Span, adaptive, adaptive_sizes, pooled_sizes, sliding, windows

# Sizes and scalars for tests: every option, tails of vectors, places in the padding alone, windows as large as the image.
KEYS = ("B", "H", "W", "C", "kernel_h", "kernel_w", "stride_h", "stride_w", "padding_h", "padding_w")
DILATED = (*KEYS, "dilation_h", "dilation_w", "ceil_mode")
CASES: list[Dims] = [
    dict(zip(DILATED, case, strict=True))
    for case in [
        (3, 4, 6, 3, 2, 2, 2, 2, 0, 0, 1, 1, False),
        (2, 5, 7, 2, 3, 3, 2, 2, 1, 1, 1, 1, False),
        (1, 5, 6, 4, 2, 3, 2, 2, 0, 1, 1, 1, True),
        (2, 7, 6, 2, 3, 2, 1, 2, 1, 1, 2, 3, False),
        (2, 1, 9, 3, 1, 4, 1, 3, 0, 2, 1, 1, True),
        (2, 6, 7, 1, 2, 1, 3, 4, 0, 0, 1, 1, False),
        (2, 5, 4, 3, 5, 4, 1, 1, 0, 0, 1, 1, False),
        (1, 3, 4, 2, 1, 1, 1, 2, 0, 0, 1, 1, False),
        (2, 2, 3, 2, 2, 2, 1, 1, 1, 1, 3, 1, False),
        (0, 4, 4, 5, 2, 2, 2, 2, 0, 0, 1, 1, False),
        (3, 5, 5, 0, 2, 2, 2, 2, 0, 0, 1, 1, False),
        (5, 9, 7, 17, 3, 3, 2, 2, 1, 1, 1, 1, False),
        (3, 8, 6, 70, 2, 2, 2, 2, 0, 0, 1, 1, False),
        (2, 7, 9, 33, 3, 3, 3, 3, 1, 1, 1, 1, True),
        (2, 17, 18, 15, 15, 17, 1, 1, 0, 0, 1, 1, False),
        (2, 3, 2, 31, 2, 2, 5, 5, 0, 0, 1, 1, True),
        (9, 1, 65, 129, 1, 2, 1, 2, 0, 0, 1, 1, False),
    ]
]
LARGE = dict(zip(DILATED, (70, 15, 14, 21, 3, 2, 2, 2, 1, 1, 1, 1, False), strict=True))
ADAPTIVE_KEYS = ("B", "H", "W", "C", "output_h", "output_w")
ADAPTIVE_CASES: list[Dims] = [
    dict(zip(ADAPTIVE_KEYS, case, strict=True))
    for case in [
        (3, 4, 6, 3, 2, 3), (2, 5, 7, 2, 3, 4), (1, 5, 5, 4, 1, 1), (2, 3, 2, 2, 5, 3), (2, 1, 9, 3, 1, 4), (2, 6, 5, 1, 6, 5),
        (2, 1, 1, 3, 1, 1), (2, 4, 3, 2, 1, 3), (0, 4, 4, 5, 2, 2), (3, 5, 5, 0, 2, 2), (5, 7, 7, 17, 7, 3),
        (3, 8, 6, 70, 1, 1), (2, 17, 18, 33, 5, 7), (9, 1, 65, 129, 1, 4),
    ]
]  # fmt: skip
ADAPTIVE_LARGE = dict(zip(ADAPTIVE_KEYS, (70, 15, 14, 21, 4, 5), strict=True))
for _case in [*ADAPTIVE_CASES, ADAPTIVE_LARGE]:
    _case |= {"P": _case["output_h"], "Q": _case["output_w"]}


def _samples(cases: list[Dims], large: Dims, taps: Any) -> dict[str, Any]:
    def index(rng: Any, shape: tuple[int, ...], dims: Dims) -> Any:
        return rng.integers(0, taps(dims), shape)

    activations = {"activation": [*ACTIVATIONS], "alpha": [0.7]}
    return {"cases": cases, "large": large, "index": index, **activations}


SAMPLES = _samples(CASES, LARGE, lambda dims: dims["kernel_h"] * dims["kernel_w"])
ADAPTIVE_SAMPLES = _samples(ADAPTIVE_CASES, ADAPTIVE_LARGE, lambda dims: dims["H"] * dims["W"])


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
