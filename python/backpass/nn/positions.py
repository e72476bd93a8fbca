"""Positions: what tells a layer that has no order of its own, such as attention, where in a row each step stands."""

from typing import Any

import numpy as np

from ..program import Builder, Tensor
from ..program.arithmetic import elementwise
from ..program.views import cat, part
from .embedding import normal_rows
from .module import Module


class Positions(Module):
    """What layers of positions have in common: the most steps of a row, and its width."""

    has_positions = True

    def steps(self, x: Tensor, max_len: int, dim: int) -> int:
        """The steps of (N, ..., T, dim), of which there are at most max_len."""
        if len(x.shape) < 3 or x.shape[-1] != dim or x.shape[-2] > max_len:
            raise self.unfit(x, f"(batch, steps, {dim}) with at most {max_len} steps")
        return x.shape[-2]


class PositionalEmbedding(Positions):
    """Learned positions: y_t = x_t + weight_t, for every step t of a row (Gehring et al. 2017).

    Args:
        max_len: L, the most steps of a row, at least 1.
        embedding_dim: E, size of the last dimension, at least 1.

    Shapes: input and output (N, ..., T, E) with T at most L; `weight` (L, E), drawn from N(0, 1).

    Raises:
        ValueError: a size below 1; an input of another width, or with more steps.

    Example:
        >>> nn.PositionalEmbedding(64, 16)
        PositionalEmbedding(64, 16)
    """

    weight: np.ndarray

    def __init__(self, max_len: int, embedding_dim: int) -> None:
        super().__init__()
        self.max_len = self.positive_int("max_len", max_len)
        self.embedding_dim = self.positive_int("embedding_dim", embedding_dim)
        self.parameter("weight", (self.max_len, self.embedding_dim), _normal)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        steps, weight = self.steps(x, self.max_len, self.embedding_dim), self.tensor("weight")
        assert weight is not None
        return elementwise(builder, "add", x, part(builder, weight, slice(steps)))


class SinusoidalPositions(Positions):
    """Fixed positions: y_t = x_t + p_t, p_t,2i = sin(t / base^(2i/E)), p_t,2i+1 = cos(t / base^(2i/E)) (Vaswani et al. 2017).

    It has no parameters, and no key in `state_dict`.

    Args:
        embedding_dim: E, size of the last dimension, at least 1.
        max_len: the most steps of a row, at least 1, default 5000.
        base: of the wave lengths, from 2π to 2π · base, at least 1, default 10000.

    Shapes: input and output (N, ..., T, E) with T at most max_len.

    Raises:
        ValueError: a size below 1; an input of another width, or with more steps.

    Example:
        >>> nn.SinusoidalPositions(16, 64)
        SinusoidalPositions(16, max_len=64)
    """

    def __init__(self, embedding_dim: int, max_len: int = 5000, base: float = 10000.0) -> None:
        super().__init__()
        self.embedding_dim = self.positive_int("embedding_dim", embedding_dim)
        self.max_len = self.positive_int("max_len", max_len)
        self.base = self.in_range("base", base, 1, 1e300)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        steps = self.steps(x, self.max_len, self.embedding_dim)
        waves = angles(steps, self.embedding_dim, self.base)
        table = np.stack([np.sin(waves), np.cos(waves)], axis=-1).reshape(steps, -1)
        constant = np.ascontiguousarray(table[:, : self.embedding_dim], builder.dtype)
        return elementwise(builder, "add", x, Tensor(constant))


class RotaryPositions(Positions):
    """Rotary positions: pairs of features of step t, turned by the angle t / base^(2i/E) (Su et al. 2021).

    It comes before the scores of attention, for queries and keys: their products then depend on distances alone. It has no
    parameters, and no key in `state_dict`.

    Args:
        dim: E, size of the last dimension (of a head), even.
        max_len: the most steps of a row, at least 1.
        base: of the wave lengths, at least 1, default 10000.
        interleaved: pairs are neighbours, (2i, 2i+1), as in the paper, instead of (i, i + E/2), as in most models; default False.

    Shapes: input and output (N, ..., T, E) with T at most max_len, such as (N, heads, T, E).

    Raises:
        ValueError: a size below 1, an odd dim; an input of another width, or with more steps.

    Example:
        >>> nn.RotaryPositions(32, 64)
        RotaryPositions(32, 64)
    """

    def __init__(self, dim: int, max_len: int, base: float = 10000.0, interleaved: bool = False) -> None:
        super().__init__()
        self.dim = self.positive_int("dim", dim)
        if self.dim % 2:
            raise ValueError(f"RotaryPositions: dim is {dim}, expected an even number")
        self.max_len = self.positive_int("max_len", max_len)
        self.base = self.in_range("base", base, 1, 1e300)
        self.interleaved = self.flag("interleaved", interleaved)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self.steps(x, self.max_len, self.dim)
        return rotated(builder, x, self.base, self.interleaved)


def rotated(builder: Builder, x: Tensor, base: float, interleaved: bool) -> Tensor:
    """(..., T, E) with the pairs of features of each step turned by its angles."""
    steps, size = x.shape[-2:]
    waves = angles(steps, size, base)
    cos, sin = (Tensor(np.ascontiguousarray(f(waves), builder.dtype)) for f in (np.cos, np.sin))

    def of(function: str, a: Any, b: Any) -> Tensor:
        return elementwise(builder, function, a, b)

    halves = (
        (slice(0, None, 2), slice(1, None, 2)) if interleaved else (slice(size // 2), slice(size // 2, None))
    )
    first, second = (part(builder, x, (..., half)) for half in halves)
    turned = (
        of("sub", of("mul", first, cos), of("mul", second, sin)),
        of("add", of("mul", second, cos), of("mul", first, sin)),
    )
    if not interleaved:
        return cat(builder, turned, len(x.shape) - 1)
    columns = [builder.reshape(y, (*y.shape, 1)) for y in turned]
    return builder.reshape(cat(builder, columns, len(x.shape)), x.shape)


def angles(steps: int, size: int, base: float) -> np.ndarray:
    """t / base^(2i/size) for every step t and every i below size / 2."""
    turned: np.ndarray = np.arange(steps)[:, None] * np.power(float(base), -np.arange(0, size, 2) / size)
    return turned


def _normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """N(0, 1)."""
    return normal_rows(None, rng, shape, fan_in)
