"""Initial weights. Every function draws a (fan_in, fan_out) matrix, or windows (height, width, in, out), from a NumPy generator.

Sources: Glorot and Bengio 2010 (xavier), He et al. 2015 (he), LeCun et al. 1998 (lecun), Saxe et al. 2014 (orthogonal).
"""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from collections.abc import Callable
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np

# (generator, shape, fan_in) -> array
Draw = Callable[..., Any]
InitName = Literal[
    "torch",
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "lecun_normal",
    "orthogonal",
    "zeros",
    "keras",
    "sklearn",
]


class Init(NamedTuple):
    """How a layer's weight and bias start."""

    weight: Draw
    bias: Draw


def fan_out(shape: tuple[int, ...]) -> int:
    """Of a matrix its columns; of the windows of a convolution (height, width, in, out) as many at each place."""
    return shape[-1] * prod(shape[:-2])


def zeros(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    return np.ones(shape)


def full(value: float, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    return np.full(shape, value)


def torch(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    """U(±1/√fan_in), PyTorch's default for W and b."""
    bound = 1 / np.sqrt(fan_in)
    return rng.uniform(-bound, bound, shape)


def xavier_uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    bound = np.sqrt(6 / (fan_in + fan_out(shape)))
    return rng.uniform(-bound, bound, shape)


def xavier_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    return rng.normal(0, np.sqrt(2 / (fan_in + fan_out(shape))), shape)


def he_uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    bound = np.sqrt(6 / fan_in)
    return rng.uniform(-bound, bound, shape)


def he_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    return rng.normal(0, np.sqrt(2 / fan_in), shape)


def lecun_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    return rng.normal(0, np.sqrt(1 / fan_in), shape)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Any:
    """Orthonormal rows or columns, whichever are fewer, uniformly distributed (QR with the signs of R fixed)."""
    rows, cols = prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.normal(size=(max(rows, cols), min(rows, cols))))
    q = q * np.sign(np.diag(r))
    return (q if rows >= cols else q.T).reshape(shape)


INIT: dict[str, Init] = {
    "torch": Init(torch, torch),
    "xavier_uniform": Init(xavier_uniform, zeros),
    "xavier_normal": Init(xavier_normal, zeros),
    "he_uniform": Init(he_uniform, zeros),
    "he_normal": Init(he_normal, zeros),
    "lecun_normal": Init(lecun_normal, zeros),
    "orthogonal": Init(orthogonal, zeros),
    "zeros": Init(zeros, zeros),
    # Recurrent layers and tables have their own.
    "keras": Init(xavier_uniform, zeros),
    "sklearn": Init(xavier_uniform, xavier_uniform),
}


def generator(seed: int, stream: int) -> np.random.Generator:
    """A NumPy generator for what is drawn once, before training: initial weights."""
    return np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), stream]))
