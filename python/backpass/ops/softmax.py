"""Softmax and its logarithm over the last dimension."""

import numpy as np

from .contract import op


@op("x[*,C] -> y[*,C]", samples={"log": [False, True]})
def softmax_forward(x, y, log: bool = False):
    """y = e^x / Σ e^x over the last dimension, or its logarithm."""
    np.subtract(x, x.max(axis=-1, keepdims=True, initial=-np.inf), out=y)
    total = np.exp(y).sum(axis=-1, keepdims=True)
    if log:
        y -= np.log(total)
    else:
        np.exp(y, out=y)
        y /= total


@op("y[*,C] dy[*,C] -> dx[*,C]", samples={"log": [False, True]})
def softmax_backward(y, dy, dx, log: bool = False):
    """dx = y (dy - Σ y dy); of the logarithm: dx = dy - e^y Σ dy."""
    if log:
        dx[...] = dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
    else:
        dx[...] = y * (dy - (y * dy).sum(axis=-1, keepdims=True))
