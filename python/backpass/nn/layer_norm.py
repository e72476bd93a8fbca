"""Layer normalisation: each row to mean 0 and variance 1."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ops import layer_norm_forward
from ..program import Builder, Tensor
from .initial_weights import ones, zeros
from .module import Module


class LayerNorm(Module):
    """Layer normalisation: y = (x - mean) / √(var + eps) · weight + bias, over each row (Ba et al. 2016).

    Args:
        normalized_shape: the last dimensions of the input, a size or a tuple of sizes.
        eps: added to the variance, in [0, 1], default 1e-5.
        elementwise_affine: whether to learn `weight`, default True.
        bias: whether to learn `bias` as well, default True.

    Shapes: input and output (N, ..., *normalized_shape); `weight` and `bias` normalized_shape.

    Raises:
        ValueError: an argument out of range; an input whose last dimensions are others.

    Example:
        >>> nn.LayerNorm(16)
        LayerNorm(16)
    """

    weight: np.ndarray | None
    bias: np.ndarray | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, tuple | list) else [normalized_shape]
        if not sizes:
            raise ValueError(
                f"LayerNorm: normalized_shape is {normalized_shape!r}, expected a size or a tuple of sizes"
            )
        self.normalized_shape = tuple(self.positive_int("normalized_shape", size) for size in sizes)
        self.eps = self.in_range("eps", eps, 0, 1)
        self.size = prod(self.normalized_shape)
        affine, bias = self.flag("elementwise_affine", elementwise_affine), self.flag("bias", bias)
        if affine:
            self.parameter("weight", (self.size,), ones, shown=self.normalized_shape)
            if bias:
                self.parameter("bias", (self.size,), zeros, shown=self.normalized_shape)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self.normalized_shape

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        lead = len(x.shape) - len(self.normalized_shape)
        if lead < 1 or x.shape[lead:] != self.normalized_shape:
            raise self.unfit(x, f"the last dimensions to be {self.normalized_shape}")
        rows = builder.reshape(x, (*x.shape[:lead], self.size))
        y = builder.emit(
            layer_norm_forward, x=rows, weight=self.tensor("weight"), bias=self.tensor("bias"), eps=self.eps
        )
        return builder.reshape(y, x.shape)
