"""Average pooling: window by window; spans and divisors of windows are computed once, when a program is bound."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ...ops.avg_pool import divisor
from ...ops.formulas import ACTIVATIONS
from ...ops.window import Span, adaptive, sliding
from . import scalars as scalars  # registers the formulas with Numba
from .compiler import Bound, jit
from .max_pool import table


@jit
def _forward(x, y, down, across, scale):
    dtype = y.dtype.type
    for b in range(y.shape[0]):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                for c in range(y.shape[3]):
                    total = 0.0
                    for h in range(down[p, 0], down[p, 0] + down[p, 1]):
                        for w in range(across[q, 0], across[q, 0] + across[q, 1]):
                            total += x[b, h, w, c]
                    y[b, p, q, c] = dtype(total * scale[p, q])


@cache
def _backward(activation: str) -> Any:
    slope_of = ACTIVATIONS[activation].slope
    plain = activation == "identity"

    @jit
    def kernel(x, dy, slope, dx, down, across, scale, alpha):
        dtype = dx.dtype.type
        alpha = dtype(alpha)
        dx[:] = 0
        for b in range(dy.shape[0]):
            for p in range(dy.shape[1]):
                for q in range(dy.shape[2]):
                    for h in range(down[p, 0], down[p, 0] + down[p, 1]):
                        for w in range(across[q, 0], across[q, 0] + across[q, 1]):
                            for c in range(dy.shape[3]):
                                dx[b, h, w, c] += dtype(dy[b, p, q, c] * scale[p, q])
        if slope is not None:
            dx *= slope
        elif not plain:
            for b in range(dx.shape[0]):
                for h in range(dx.shape[1]):
                    for w in range(dx.shape[2]):
                        for c in range(dx.shape[3]):
                            dx[b, h, w, c] *= dtype(slope_of(x[b, h, w, c], alpha))

    return kernel


def _tables(down: Sequence[Span], across: Sequence[Span], *counted: Any) -> Any:
    scale = [[1 / divisor(rows, cols, *counted) for cols in across] for rows in down]
    return table(down), table(across), np.array(scale, np.float64)


def _sliding(
    x, y, kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, count_include_pad, divisor_override
):
    down = sliding(x.shape[1], y.shape[1], kernel_h, stride_h, padding_h)
    across = sliding(x.shape[2], y.shape[2], kernel_w, stride_w, padding_w)
    return _tables(down, across, count_include_pad, divisor_override)


def _adaptive(x, y):
    return _tables(adaptive(x.shape[1], y.shape[1]), adaptive(x.shape[2], y.shape[2]))


def avg_pool2d_forward(x, y, ceil_mode, **window) -> Bound:
    return _forward, (x, y, *_sliding(x, y, **window))


def avg_pool2d_backward(x, dy, slope, dx, ceil_mode, activation, alpha, **window) -> Bound:
    return _backward(activation), (x, dy, slope, dx, *_sliding(x, dy, **window), alpha)


def adaptive_avg_pool2d_forward(x, y, output_h, output_w) -> Bound:
    return _forward, (x, y, *_adaptive(x, y))


def adaptive_avg_pool2d_backward(x, dy, slope, dx, activation, alpha) -> Bound:
    return _backward(activation), (x, dy, slope, dx, *_adaptive(x, dy), alpha)
