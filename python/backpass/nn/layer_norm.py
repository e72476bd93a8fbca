"""Layer normalisation (Ba et al. 2016): each row to mean 0 and variance 1."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..contract import as_rows, op, positive
from ..program import Builder, Tensor
from .init import ones, zeros
from .layer import Layer


@op("x[*,C] weight[C]? bias[C]? -> y[*,C] mean[*] inv_std[*]", samples={"eps": [1e-5]})
def layer_norm_forward(x, weight, bias, y, mean, inv_std, eps: float = 1e-5):
    """y = (x - mean) inv_std weight + bias, inv_std = 1/√(var + eps), both over the last dimension."""
    features = max(x.shape[-1], 1)
    mean[...] = np.sum(x, axis=-1) / features
    np.subtract(x, mean[..., None], out=y)
    inv_std[...] = 1 / np.sqrt(np.sum(y * y, axis=-1) / features + eps)
    y *= inv_std[..., None]
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias


@op(
    "x[*,C] weight[C]? mean[*] inv_std[*] dy[*,C] -> dx[*,C]? dweight[C]? dbias[C]?",
    samples={"inv_std": positive},
)
def layer_norm_backward(x, weight, mean, inv_std, dy, dx, dweight, dbias):
    """x̂ = (x - mean) inv_std; dweight = Σ dy x̂; dbias = Σ dy; g = dy weight; dx = inv_std (g - mean(g) - x̂ mean(g x̂))."""
    normal = (x - mean[..., None]) * inv_std[..., None]
    features = x.shape[-1]
    if dweight is not None:
        dweight[...] = as_rows(dy * normal).sum(axis=0)
    if dbias is not None:
        dbias[...] = as_rows(dy).sum(axis=0)
    if dx is not None:
        g = dy if weight is None else dy * weight
        inner = g.sum(axis=-1, keepdims=True) + normal * (g * normal).sum(axis=-1, keepdims=True)
        dx[...] = inv_std[..., None] * (g - inner / max(features, 1))


class LayerNorm(Layer):
    """Layer normalisation over the last dimensions, `normalized_shape` (a size or a tuple of sizes).

    Args:
        normalized_shape: the last dimensions of the input.
        eps: added to the variance, default 1e-5.
        elementwise_affine: whether to learn `weight`; bias: whether to learn `bias` as well.
    """

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

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        lead = len(x.shape) - len(self.normalized_shape)
        if lead < 1 or x.shape[lead:] != self.normalized_shape:
            raise ValueError(
                f"{self!r}: the input has shape (batch, {', '.join(map(str, x.shape[1:]))}), expected the last"
                f" dimensions to be {self.normalized_shape}"
            )
        rows = builder.reshape(x, (*x.shape[:lead], self.size))
        y = builder.emit(
            "layer_norm_forward", x=rows, weight=self.tensor("weight"), bias=self.tensor("bias"), eps=self.eps
        )
        return builder.reshape(y, x.shape)

    def __repr__(self) -> str:
        return f"LayerNorm({self.normalized_shape})"
