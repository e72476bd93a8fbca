"""Gaussian noise on what passes, while training: augmentation of an input, regularisation of a layer (Bishop 1995)."""

import numpy as np

from ..contract import constant, op
from ..program import Builder, Tensor
from ..random import draw
from .layer import Layer

# erfinv(x) = x · a polynomial in w = -log(1 - x²): Giles, "Approximating the erfinv function" (2010), single precision
CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727,
    1.50140941,
)  # fmt: skip
TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406,
    2.83297682,
)  # fmt: skip


def normal(words: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A standard normal for every random word, by inversion of 23 of its bits: up to ± 5.2."""
    x = ((words >> np.uint32(9)).astype(dtype) + dtype.type(0.5)) * dtype.type(2**-22) - dtype.type(1)
    w = -np.log((1 - x) * (1 + x))
    centre = np.polyval(np.array(CENTRE, dtype), w - dtype.type(2.5))
    tail = np.polyval(np.array(TAIL, dtype), np.sqrt(w) - dtype.type(3))
    return np.asarray(dtype.type(2**0.5) * x * np.where(w < 5, centre, tail), dtype)


@op(
    "x[*] step[1]:int64 -> y[*]",
    samples={"std": [0.5], "seed": [2**40 + 7], "stream": [3], "step": constant(5)},
    alias_gradient={"x": "y"},
)
def gaussian_noise(x, step, y, std: float, seed: int, stream: int):
    """y = x + std · n, n standard normal: a function of seed, stream, step and element."""
    noise = normal(draw(x.size, int(step[0]), stream, seed), x.dtype)
    np.add(x, x.dtype.type(std) * noise.reshape(x.shape), out=y)


class GaussianNoise(Layer):
    """Adds normal noise of standard deviation `std` (at least 0) while training; the identity otherwise. As in Keras."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = self.in_range("std", std, 0, float(np.finfo(np.float32).max))

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if not builder.training or self.std == 0:
            return x
        return builder.emit(
            "gaussian_noise", x=x, step=builder.step, std=self.std, seed=builder.seed, stream=builder.stream()
        )

    def __repr__(self) -> str:
        return f"GaussianNoise(std={self.std})"
