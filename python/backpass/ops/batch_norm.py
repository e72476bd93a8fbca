"""Batch normalisation (Ioffe and Szegedy 2015) of (B, C, L): each channel to mean 0 and variance 1 over the batch."""

import numpy as np

from .contract import op, positive


@op("x[B,C,L] weight[C]? bias[C]? -> y[B,C,L] mean[C] inv_std[C] var[C]?", samples={"eps": [1e-5]})
def batch_norm_forward(x, weight, bias, y, mean, inv_std, var, eps: float = 1e-5):
    """y = (x - mean) inv_std weight + bias, inv_std = 1/√(var + eps), var the biased variance of the batch."""
    axes, column = (0, 2), (None, slice(None), None)
    count = max(x.shape[0] * x.shape[2], 1)
    mean[...] = np.sum(x, axis=axes, dtype=np.float64) / count
    np.subtract(x, mean[column], out=y)
    biased = np.sum(y * y, axis=axes, dtype=np.float64) / count
    inv_std[...] = 1 / np.sqrt(biased + eps)
    if var is not None:
        var[...] = biased
    y *= inv_std[column]
    _scale(y, weight, bias)


@op(
    "mean[C] var[C] running_mean[C] running_var[C] batches[1]:int64 -> running_mean running_var batches",
    samples={
        "var": positive,
        "running_var": positive,
        "batches": lambda rng, shape, dims: [3],
        "count": [7, 1],
        "momentum": [0.1, -1.0],
    },
)
def batch_norm_track(mean, var, running_mean, running_var, batches, count: int, momentum: float = 0.1):
    """running += momentum (new - running) where new is finite, new the mean and the unbiased variance of a batch.

    count: the values of which they are. momentum < 0: 1 / number of batches. A step does this after its guard: one that is
    stopped or interrupted moves nothing.
    """
    batches += 1
    new = momentum if momentum >= 0 else 1 / batches[0]
    finite = np.isfinite(mean) & np.isfinite(var)
    running_mean[finite] += (new * (mean - running_mean))[finite]
    running_var[finite] += (new * (var * (count / max(count - 1, 1)) - running_var))[finite]


@op(
    "x[B,C,L] weight[C]? bias[C]? running_mean[C] running_var[C] -> y[B,C,L]",
    samples={"running_var": positive, "eps": [1e-5]},
)
def batch_norm_inference(x, weight, bias, running_mean, running_var, y, eps: float = 1e-5):
    """y = (x - running_mean) / √(running_var + eps) weight + bias."""
    np.subtract(x, running_mean[:, None], out=y)
    y *= (1 / np.sqrt(running_var + eps))[:, None]
    _scale(y, weight, bias)


@op(
    "x[B,C,L] weight[C]? mean[C] inv_std[C] dy[B,C,L] -> dx[B,C,L]? dweight[C]? dbias[C]?",
    samples={"inv_std": positive},
)
def batch_norm_backward(x, weight, mean, inv_std, dy, dx, dweight, dbias):
    """x̂ = (x - mean) inv_std; dweight = Σ dy x̂; dbias = Σ dy; dx = weight inv_std (dy - (dbias + x̂ dweight) / count)."""
    axes, column = (0, 2), (None, slice(None), None)
    count = max(x.shape[0] * x.shape[2], 1)
    normal = (x - mean[column]) * inv_std[column]
    slope, shift = (dy * normal).sum(axis=axes), dy.sum(axis=axes)
    if dweight is not None:
        dweight[...] = slope
    if dbias is not None:
        dbias[...] = shift
    if dx is not None:
        scale = inv_std if weight is None else inv_std * weight
        dx[...] = scale[column] * (dy - (shift[column] + normal * slope[column]) / count)


def _scale(y, weight, bias):
    if weight is not None:
        y *= weight[:, None]
    if bias is not None:
        y += bias[:, None]
