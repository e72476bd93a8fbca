"""Maximum pooling: window by window, channel by channel; spans of windows are computed once, when a program is bound."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ...ops.formulas import ACTIVATIONS
from ...ops.window import Span, adaptive, sliding
from . import scalars as scalars  # registers the formulas with Numba
from .compiler import Bound, jit


def table(spans: Sequence[Span]) -> np.ndarray:
    """(places, 3): the first place of a window within the input, how many there are, and the number of its first tap."""
    rows = [(s.origin + s.first * s.dilation, s.last - s.first, s.first) for s in spans]
    return np.array(rows, np.int64).reshape(-1, 3)


@jit
def _forward(x, y, index, down, across, step_h, step_w, kernel_w):
    dtype = y.dtype.type
    for b in range(y.shape[0]):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                top, rows, first_i = down[p]
                left, cols, first_j = across[q]
                for c in range(y.shape[3]):
                    best, place = dtype(-np.inf), 0
                    if rows > 0 and cols > 0:
                        place = first_i * kernel_w + first_j if kernel_w else top * x.shape[2] + left
                    for i in range(rows):
                        for j in range(cols):
                            h, w = top + i * step_h, left + j * step_w
                            v = x[b, h, w, c]
                            if not v <= best and best == best:
                                best = v
                                place = (
                                    (first_i + i) * kernel_w + first_j + j if kernel_w else h * x.shape[2] + w
                                )
                    y[b, p, q, c] = best
                    if index is not None:
                        index[b, p, q, c] = place


@cache
def _backward(activation: str) -> Any:
    slope_of = ACTIVATIONS[activation].slope
    plain = activation == "identity"

    @jit
    def kernel(y, index, dy, slope, dx, down, across, step_h, step_w, kernel_w, alpha):
        dtype = dx.dtype.type
        alpha = dtype(alpha)
        dx[:] = 0
        for b in range(dy.shape[0]):
            for p in range(dy.shape[1]):
                for q in range(dy.shape[2]):
                    top, rows, first_i = down[p]
                    left, cols, first_j = across[q]
                    for c in range(dy.shape[3]):
                        place = index[b, p, q, c]
                        if kernel_w:
                            i, j = place // kernel_w - first_i, place % kernel_w - first_j
                        else:
                            i, j = place // dx.shape[2] - top, place % dx.shape[2] - left
                        if i < 0 or i >= rows or j < 0 or j >= cols:
                            continue
                        h, w = top + i * step_h, left + j * step_w
                        d = dy[b, p, q, c]
                        if slope is not None:
                            d *= slope[b, h, w, c]
                        elif not plain:
                            d *= dtype(slope_of(y[b, p, q, c], alpha))
                        dx[b, h, w, c] += d

    return kernel


def _sliding(x, y, kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w):
    down = sliding(x.shape[1], y.shape[1], kernel_h, stride_h, padding_h, dilation_h)
    across = sliding(x.shape[2], y.shape[2], kernel_w, stride_w, padding_w, dilation_w)
    return table(down), table(across), dilation_h, dilation_w, kernel_w


def _adaptive(x, y):
    return table(adaptive(x.shape[1], y.shape[1])), table(adaptive(x.shape[2], y.shape[2])), 1, 1, 0


def max_pool2d_forward(x, y, index, ceil_mode, **window) -> Bound:
    return _forward, (x, y, index, *_sliding(x, y, **window))


def max_pool2d_backward(x, y, index, dy, slope, dx, ceil_mode, activation, alpha, **window) -> Bound:
    return _backward(activation), (y, index, dy, slope, dx, *_sliding(x, y, **window), alpha)


def adaptive_max_pool2d_forward(x, y, index, output_h, output_w) -> Bound:
    return _forward, (x, y, index, *_adaptive(x, y))


def adaptive_max_pool2d_backward(x, y, index, dy, slope, dx, activation, alpha) -> Bound:
    return _backward(activation), (y, index, dy, slope, dx, *_adaptive(x, y), alpha)
