"""Linear layers: SciPy's BLAS through np.dot, then one pass for bias, activation and slope."""

from functools import cache
from typing import Any

import numpy as np

from ...contract import as_rows
from ...formulas import ACTIVATIONS
from .compiler import STAMP, Bound, jit, maybe

OPS = ("linear_forward", "linear_backward")


@jit
def _matmul(a, b, out):
    np.dot(a, b, out)


@cache
def _forward(activation: str) -> Any:
    value, slope_of, stores_slope = ACTIVATIONS[activation]
    plain = activation == "identity"
    stamp = STAMP

    @jit
    def kernel(x, weight, bias, y, slope, alpha):
        _ = stamp
        dtype = y.dtype.type
        alpha = dtype(alpha)
        _matmul(x, weight, y)
        if plain and bias is None and slope is None:
            return
        for r in range(y.shape[0]):
            for c in range(y.shape[1]):
                z = y[r, c]
                if bias is not None:
                    z += bias[c]
                f = dtype(value(z, alpha))
                if slope is not None:
                    slope[r, c] = slope_of(z if stores_slope else f, alpha)
                y[r, c] = f

    return kernel


@cache
def _backward(activation: str) -> Any:
    slope_of = ACTIVATIONS[activation].slope
    plain = activation == "identity"
    stamp = STAMP

    @jit
    def kernel(x, weight, dy, slope, dx, dweight, dbias, alpha):
        _ = stamp
        dtype = dy.dtype.type
        alpha = dtype(alpha)
        _matmul(x.T, dy, dweight)
        if dbias is not None:
            total = np.zeros(dbias.size)  # float64: sums over the batch
            for r in range(dy.shape[0]):
                for c in range(dbias.size):
                    total[c] += dy[r, c]
            for c in range(dbias.size):
                dbias[c] = total[c]
        if dx is not None:
            _matmul(dy, weight.T, dx)
            if slope is not None:
                for r in range(dx.shape[0]):
                    for c in range(dx.shape[1]):
                        dx[r, c] *= slope[r, c]
            elif not plain:
                for r in range(dx.shape[0]):
                    for c in range(dx.shape[1]):
                        dx[r, c] *= dtype(slope_of(x[r, c], alpha))

    return kernel


def linear_forward(x, weight, bias, y, slope, activation, alpha) -> Bound:
    return _forward(activation), (as_rows(x), weight, bias, as_rows(y), maybe(as_rows, slope), alpha)


def linear_backward(x, weight, dy, slope, dx, dweight, dbias, activation, alpha) -> Bound:
    return _backward(activation), (
        *(as_rows(x), weight, as_rows(dy), maybe(as_rows, slope), maybe(as_rows, dx), dweight, dbias),
        alpha,
    )
