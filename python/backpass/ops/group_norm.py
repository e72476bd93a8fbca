"""Group normalisation (Wu and He 2018) of [B,L,G,P]: G groups of P channels, each to mean 0 and variance 1 in each sample."""

import numpy as np

from .contract import op, positive


@op("x[B,L,G,P] weight[G,P]? bias[G,P]? -> y[B,L,G,P] mean[B,G] inv_std[B,G]", samples={"eps": [1e-5]})
def group_norm_forward(x, weight, bias, y, mean, inv_std, eps: float = 1e-5):
    """y = (x - mean) inv_std weight + bias, inv_std = 1/√(var + eps), both over the L places and P channels of a group."""
    count = max(x.shape[1] * x.shape[3], 1)
    mean[...] = np.sum(x, axis=(1, 3), dtype=np.float64) / count
    np.subtract(x, mean[:, None, :, None], out=y)
    inv_std[...] = 1 / np.sqrt(np.sum(y * y, axis=(1, 3), dtype=np.float64) / count + eps)
    y *= inv_std[:, None, :, None]
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias


@op(
    "x[B,L,G,P] weight[G,P]? mean[B,G] inv_std[B,G] dy[B,L,G,P] -> dx[B,L,G,P]? slopes[B,G,P] shifts[B,G,P]",
    samples={"inv_std": positive},
)
def group_norm_backward(x, weight, mean, inv_std, dy, dx, slopes, shifts):
    """x̂ = (x - mean) inv_std; slopes = Σ_L dy x̂; shifts = Σ_L dy; g = dy weight; dx = inv_std (g - mean(g) - x̂ mean(g x̂))."""
    normal = (x - mean[:, None, :, None]) * inv_std[:, None, :, None]
    slopes[...] = (dy * normal).sum(axis=1)
    shifts[...] = dy.sum(axis=1)
    if dx is not None:
        count = max(x.shape[1] * x.shape[3], 1)
        factor = np.ones((), x.dtype) if weight is None else weight
        shift = (shifts * factor).sum(axis=2)[:, None, :, None] / count
        slope = (slopes * factor).sum(axis=2)[:, None, :, None] / count
        dx[...] = inv_std[:, None, :, None] * (dy * factor - (shift + normal * slope))


@op("slopes[B,G,P] shifts[B,G,P] -> dweight[G,P]? dbias[G,P]?")
def group_norm_backward_weight(slopes, shifts, dweight, dbias):
    """dweight = Σ_B slopes; dbias = Σ_B shifts."""
    if dweight is not None:
        dweight[...] = slopes.sum(axis=0)
    if dbias is not None:
        dbias[...] = shifts.sum(axis=0)
