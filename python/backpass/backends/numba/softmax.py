"""Softmax and its logarithm: each row in one pass, sums in float64."""

import numpy as np

from ...ops.contract import as_rows
from .compiler import Bound, jit_sums
from .scalars import exp


@jit_sums
def _softmax_forward(x, y, log):
    dtype = y.dtype.type
    for r in range(x.shape[0]):
        high = dtype(-np.inf)
        for c in range(x.shape[1]):
            high = max(high, x[r, c])
        total = 0.0
        for c in range(x.shape[1]):
            shifted = x[r, c] - high
            e = exp(shifted)
            total += e
            y[r, c] = shifted if log else e
        shift, factor = dtype(np.log(total)), dtype(1 / total)
        for c in range(x.shape[1]):
            y[r, c] = y[r, c] - shift if log else y[r, c] * factor


@jit_sums
def _softmax_backward(y, dy, dx, log):
    dtype = dx.dtype.type
    for r in range(y.shape[0]):
        total = 0.0
        for c in range(y.shape[1]):
            total += dy[r, c] if log else y[r, c] * dy[r, c]
        inner = dtype(total)
        for c in range(y.shape[1]):
            dx[r, c] = dy[r, c] - exp(y[r, c]) * inner if log else y[r, c] * (dy[r, c] - inner)


def softmax_forward(x, y, log) -> Bound:
    return _softmax_forward, (as_rows(x), as_rows(y), log)


def softmax_backward(y, dy, dx, log) -> Bound:
    return _softmax_backward, (as_rows(y), as_rows(dy), as_rows(dx), log)
