"""Elementwise ops: activations from formulas.py, and addition."""

from functools import cache
from typing import Any

from ...ops.formulas import ACTIVATIONS
from . import scalars as scalars  # registers the formulas with Numba
from .compiler import Bound, flat, jit, maybe


@cache
def _forward(activation: str) -> Any:
    value, slope_of, stores_slope, *_ = ACTIVATIONS[activation]

    @jit
    def kernel(x, y, slope, alpha):
        dtype = y.dtype.type
        alpha = dtype(alpha)
        for i in range(x.size):
            z = x[i]
            f = dtype(value(z, alpha))
            if slope is not None:
                slope[i] = slope_of(z if stores_slope else f, alpha)
            y[i] = f

    return kernel


@cache
def _backward(activation: str) -> Any:
    slope_of = ACTIVATIONS[activation].slope

    @jit
    def kernel(y, slope, dy, dx, alpha):
        dtype = dx.dtype.type
        alpha = dtype(alpha)
        for i in range(dx.size):
            if slope is not None:
                dx[i] = dy[i] * slope[i]
            else:
                dx[i] = dy[i] * dtype(slope_of(y[i], alpha))

    return kernel


@jit
def _add(a, b, y):
    for i in range(y.size):
        y[i] = a[i] + b[i]


def activation_forward(x, y, slope, activation, alpha) -> Bound:
    return _forward(activation), (flat(x), flat(y), maybe(flat, slope), alpha)


def activation_backward(y, slope, dy, dx, activation, alpha) -> Bound:
    return _backward(activation), (flat(y), maybe(flat, slope), flat(dy), flat(dx), alpha)


def add(a, b, y) -> Bound:
    return _add, (flat(a), flat(b), flat(y))
