"""Reductions over the last dimension."""

import numpy as np

from .contract import index, op


@op("x[*,R] -> y[*]", samples={"scale": [1.0, 0.25]}, strided=("x",))
def reduce_sum(x, y, scale: float = 1.0):
    """y = scale Σ_r x_r. The gradient of x is scale · dy in every place: a view."""
    np.multiply(x.sum(axis=-1), y.dtype.type(scale), out=y)


@op("x[*,R] -> y[*] largest[*]:int64", strided=("x",))
def max_forward(x, y, largest):
    """y = max_r x_r, the first of the largest; NaN counts as the largest. Of no elements: -∞."""
    if x.shape[-1]:
        largest[...] = x.argmax(axis=-1)
        y[...] = np.take_along_axis(x, largest[..., None], axis=-1)[..., 0]
    else:
        largest[...], y[...] = 0, -np.inf


@op("largest[*]:int64 dy[*] -> dx[*,R]", samples={"largest": index("R")}, strided=("dy",))
def max_backward(largest, dy, dx):
    """dx = dy at the place of the largest, else 0."""
    dx[...] = np.where(np.arange(dx.shape[-1]) == largest[..., None], dy[..., None], 0)
