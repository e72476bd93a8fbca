"""Softmax and its logarithm over the last dimension."""

import numpy as np

from ..checks import is_whole
from ..contract import op
from ..program import Builder, Tensor
from .layer import Layer


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


class Softmax(Layer):
    """Probabilities over the last dimension (`dim=-1` is the only one)."""

    log = False

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        if not is_whole(dim) or dim not in (-1, 1):
            raise ValueError(f"{type(self).__name__}: dim is {dim!r}, expected -1 (the last dimension)")
        self.dim = dim

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if self.dim not in (-1, len(x.shape) - 1):
            raise ValueError(
                f"{self!r}: dim is {self.dim} but the input has {len(x.shape)} dimensions; use -1"
            )
        return builder.emit("softmax_forward", x=x, log=self.log)


class LogSoftmax(Softmax):
    """Logarithms of probabilities over the last dimension, as `nn.NLLLoss` takes them."""

    log = True
