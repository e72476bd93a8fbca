"""Layer normalisation (Ba et al. 2016): each row to mean 0 and variance 1."""

import numpy as np

from .contract import as_rows, op, positive


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
