"""Batch normalisation: a batch [B,C,L] is a matrix of C·L columns whose sums are then added up by channel."""

import numpy as np

from .compiler import Bound, jit, maybe


@jit
def _by_channel(columns, channels):
    """Sums of columns [C·L] as sums of channels [C]."""
    length = columns.size // max(channels, 1)
    out = np.zeros(channels)
    for c in range(channels):
        for i in range(length):
            out[c] += columns[c * length + i]
    return out


@jit
def _scale_shift(x, y, center, inv_std, weight, bias):
    """y = (x - center) inv_std weight + bias; what is given by channel serves each of its columns."""
    length = x.shape[1] // max(center.size, 1)
    scale = inv_std if weight is None else inv_std * weight
    middle, scale = np.repeat(center, length), np.repeat(scale, length)
    shift = np.zeros(middle.size, y.dtype) if bias is None else np.repeat(bias, length)
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[r, c] = (x[r, c] - middle[c]) * scale[c] + shift[c]


@jit
def _batch_norm_forward(x, weight, bias, y, mean, inv_std, var, eps):
    channels = mean.size
    length = x.shape[1] // max(channels, 1)
    count = max(x.shape[0] * length, 1)
    columns = np.zeros(x.shape[1])
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            columns[c] += x[r, c]
    mean[:] = _by_channel(columns, channels) / count
    middle = np.repeat(mean, length)
    columns[:] = 0
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            d = x[r, c] - middle[c]
            columns[c] += d * d
    biased = _by_channel(columns, channels) / count
    inv_std[:] = 1 / np.sqrt(biased + eps)
    if var is not None:
        var[:] = biased
    _scale_shift(x, y, mean, inv_std, weight, bias)


@jit
def _batch_norm_track(mean, var, running_mean, running_var, batches, count, momentum):
    batches[0] += 1
    new = momentum if momentum >= 0 else 1 / batches[0]
    for c in range(mean.size):
        if np.isfinite(mean[c]) and np.isfinite(var[c]):
            running_mean[c] += new * (mean[c] - running_mean[c])
            running_var[c] += new * (var[c] * (count / max(count - 1, 1)) - running_var[c])


@jit
def _batch_norm_inference(x, weight, bias, running_mean, running_var, y, eps):
    inv_std = np.empty_like(running_var)
    for c in range(inv_std.size):
        inv_std[c] = 1 / np.sqrt(running_var[c] + eps)
    _scale_shift(x, y, running_mean, inv_std, weight, bias)


@jit
def _batch_norm_backward(x, weight, mean, inv_std, dy, dx, dweight, dbias):
    dtype = dy.dtype
    channels = mean.size
    length = x.shape[1] // max(channels, 1)
    count = max(x.shape[0] * length, 1)
    middle, spread = np.repeat(mean, length), np.repeat(inv_std, length)
    slopes, shifts = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            slopes[c] += dy[r, c] * ((x[r, c] - middle[c]) * spread[c])
            shifts[c] += dy[r, c]
    slope, shift = _by_channel(slopes, channels), _by_channel(shifts, channels)
    if dweight is not None:
        dweight[:] = slope
    if dbias is not None:
        dbias[:] = shift
    if dx is not None:
        by_slope = np.repeat((slope / count).astype(dtype), length)
        by_shift = np.repeat((shift / count).astype(dtype), length)
        scale = spread if weight is None else spread * np.repeat(weight, length)
        for r in range(x.shape[0]):
            for c in range(x.shape[1]):
                normal = (x[r, c] - middle[c]) * spread[c]
                dx[r, c] = scale[c] * (dy[r, c] - (by_shift[c] + normal * by_slope[c]))


def _columns(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2])


def batch_norm_forward(x, weight, bias, y, mean, inv_std, var, eps) -> Bound:
    return _batch_norm_forward, (_columns(x), weight, bias, _columns(y), mean, inv_std, var, eps)


def batch_norm_track(mean, var, running_mean, running_var, batches, count, momentum) -> Bound:
    return _batch_norm_track, (mean, var, running_mean, running_var, batches, count, momentum)


def batch_norm_inference(x, weight, bias, running_mean, running_var, y, eps) -> Bound:
    return _batch_norm_inference, (_columns(x), weight, bias, running_mean, running_var, _columns(y), eps)


def batch_norm_backward(x, weight, mean, inv_std, dy, dx, dweight, dbias) -> Bound:
    return _batch_norm_backward, (
        *(_columns(x), weight, mean, inv_std, _columns(dy), maybe(_columns, dx), dweight, dbias),
    )
