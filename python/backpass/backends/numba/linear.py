"""Linear layers: products by NumPy's BLAS, then one pass for bias, activation and slope.

Not by np.dot inside of a loop that Numba compiles: that is SciPy's copy of OpenBLAS with threads of its own. Where both copies
are in use, the threads of one spin while the other's work, and products take a hundred times as long.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ...ops.contract import as_rows
from ...ops.formulas import ACTIVATIONS
from ...ops.precision import check_precision
from . import scalars as scalars  # registers the formulas with Numba
from .compiler import Bound, jit, maybe


@cache
def _forward(activation: str) -> Any:
    value, slope_of, stores_slope, *_ = ACTIVATIONS[activation]

    @jit
    def kernel(bias, y, slope, alpha):
        dtype = y.dtype.type
        alpha = dtype(alpha)
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

    @jit
    def kernel(x, dy, slope, dx, dbias, alpha):
        dtype = dy.dtype.type
        alpha = dtype(alpha)
        if dbias is not None:
            total = np.zeros(dbias.size)  # float64: sums over the batch
            for r in range(dy.shape[0]):
                for c in range(dbias.size):
                    total[c] += dy[r, c]
            for c in range(dbias.size):
                dbias[c] = total[c]
        if dx is not None:
            for r in range(dx.shape[0]):
                for c in range(dx.shape[1]):
                    if slope is not None:
                        dx[r, c] *= slope[r, c]
                    elif not plain:
                        dx[r, c] *= dtype(slope_of(x[r, c], alpha))

    return kernel


def _products(
    pairs: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...], kernel: Callable[..., None], *rest: Any
) -> None:
    for a, b, out in pairs:
        _product(out)(a, b, out)
    kernel(*rest)


def _product(out: np.ndarray) -> Callable[..., Any]:
    """np.dot, which is faster to call, unless rows are padded: in a plan that was made for the native backend."""
    return np.dot if out.flags.c_contiguous else np.matmul


def linear_forward(x, weight, bias, y, slope, activation, alpha, precision) -> Bound:
    check_precision(precision, y.dtype)  # float32 stands in for all
    x, y = as_rows(x), as_rows(y)
    if bias is None and slope is None and activation == "identity":
        return _product(y), (x, weight, y)
    return _products, (((x, weight, y),), _forward(activation), bias, y, maybe(as_rows, slope), alpha)


def linear_backward(x, weight, dy, slope, dx, dweight, dbias, activation, alpha, precision) -> Bound:
    check_precision(precision, dy.dtype)
    x, dy, dx = as_rows(x), as_rows(dy), maybe(as_rows, dx)
    products = (x.T, dy, dweight), (dy, weight.T, dx)
    pairs = [product for product in products if product[-1] is not None]
    return _products, (tuple(pairs), _backward(activation), x, dy, maybe(as_rows, slope), dx, dbias, alpha)
