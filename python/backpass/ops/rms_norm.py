"""Normalisation by the root mean square (Zhang and Sennrich 2019)."""

import numpy as np

from .contract import as_rows, op, positive


@op("x[*,C] weight[C]? -> y[*,C] inv_rms[*]", samples={"eps": [1e-6]})
def rms_norm_forward(x, weight, y, inv_rms, eps: float = 1e-6):
    """y = x inv_rms weight, inv_rms = 1/√(mean(x²) + eps), over the last dimension."""
    inv_rms[...] = 1 / np.sqrt(np.sum(x * x, axis=-1) / max(x.shape[-1], 1) + eps)
    np.multiply(x, inv_rms[..., None], out=y)
    if weight is not None:
        y *= weight


@op("x[*,C] weight[C]? inv_rms[*] dy[*,C] -> dx[*,C]? dweight[C]?", samples={"inv_rms": positive})
def rms_norm_backward(x, weight, inv_rms, dy, dx, dweight):
    """x̂ = x inv_rms; dweight = Σ dy x̂; g = dy weight; dx = inv_rms (g - x̂ mean(g x̂))."""
    normal = x * inv_rms[..., None]
    if dweight is not None:
        dweight[...] = as_rows(dy * normal).sum(axis=0)
    if dx is not None:
        g = dy if weight is None else dy * weight
        inner = normal * (g * normal).sum(axis=-1, keepdims=True)
        dx[...] = inv_rms[..., None] * (g - inner / max(x.shape[-1], 1))
