"""Batch normalisation of [R,C] by parts of the rows: all sums in float64."""

import numpy as np

from . import linear
from .compiler import Bound, direct, jit


@jit
def _rows_of(part, rows, parts):
    """Where a part begins and ends."""
    size = max(-(-rows // max(parts, 1)), 1)
    return min(part * size, rows), min((part + 1) * size, rows)


@jit
def _batch_norm_moments(x, means, squares):
    parts, channels = means.shape
    for p in range(parts):
        begin, end = _rows_of(p, x.shape[0], parts)
        mean, square = np.zeros(channels), np.zeros(channels)
        for r in range(begin, end):
            for c in range(channels):
                mean[c] += x[r, c]
        mean /= max(end - begin, 1)
        for r in range(begin, end):
            for c in range(channels):
                d = x[r, c] - mean[c]
                square[c] += d * d
        means[p] = mean
        squares[p] = square


@jit
def _batch_norm_rows(x, weight, bias, means, squares, y, mean, inv_std, var, eps):
    rows, channels = x.shape
    dtype = y.dtype.type
    middle, biased, count = np.zeros(channels), np.zeros(channels), max(rows, 1)
    for p in range(means.shape[0]):
        begin, end = _rows_of(p, rows, means.shape[0])
        middle += (end - begin) * means[p] / count
    for p in range(means.shape[0]):
        begin, end = _rows_of(p, rows, means.shape[0])
        biased += (squares[p] + (end - begin) * (means[p] - middle) ** 2) / count
    scale, shift = np.ones(channels, y.dtype), np.zeros(channels, y.dtype)
    for c in range(channels):
        mean[c] = dtype(middle[c])
        inv_std[c] = dtype(1 / np.sqrt(biased[c] + eps))
        if var is not None:
            var[c] = dtype(biased[c])
        scale[c] = inv_std[c] if weight is None else inv_std[c] * weight[c]
        if bias is not None:
            shift[c] = bias[c]
    for r in range(rows):
        for c in range(channels):
            y[r, c] = (x[r, c] - mean[c]) * scale[c] + shift[c]


@jit
def _batch_norm_rows_backward(x, mean, inv_std, dy, slopes, shifts):
    parts, channels = slopes.shape
    for p in range(parts):
        begin, end = _rows_of(p, x.shape[0], parts)
        slope, shift = np.zeros(channels), np.zeros(channels)
        for r in range(begin, end):
            for c in range(channels):
                slope[c] += dy[r, c] * ((x[r, c] - mean[c]) * inv_std[c])
                shift[c] += dy[r, c]
        slopes[p] = slope
        shifts[p] = shift


@jit
def _batch_norm_rows_backward_weight(x, weight, mean, inv_std, dy, slopes, shifts, dx, dweight, dbias):
    rows, channels = x.shape
    slope, shift = np.zeros(channels), np.zeros(channels)
    for p in range(slopes.shape[0]):
        slope += slopes[p]
        shift += shifts[p]
    if dweight is not None:
        dweight[:] = slope
    if dbias is not None:
        dbias[:] = shift
    if dx is not None:
        by_slope, by_shift = (slope / max(rows, 1)).astype(dx.dtype), (shift / max(rows, 1)).astype(dx.dtype)
        scale = inv_std.copy() if weight is None else inv_std * weight
        for r in range(rows):
            for c in range(channels):
                normal = (x[r, c] - mean[c]) * inv_std[c]
                dx[r, c] = scale[c] * (dy[r, c] - (by_shift[c] + normal * by_slope[c]))


batch_norm_moments = direct(_batch_norm_moments)
batch_norm_rows_backward = direct(_batch_norm_rows_backward)
batch_norm_rows_backward_weight = direct(_batch_norm_rows_backward_weight)


def _activated(normalised, other, activate, y, slope, alpha) -> None:
    _batch_norm_rows(*normalised)
    if other is not None:
        np.add(y, other, out=y)
    activate(None, y, slope, alpha)


def batch_norm_rows(
    x, weight, bias, means, squares, other, y, slope, mean, inv_std, var, eps, activation, alpha
) -> Bound:
    normalised = x, weight, bias, means, squares, y, mean, inv_std, var, eps
    if activation == "identity" and other is None:
        return _batch_norm_rows, normalised
    return _activated, (normalised, other, linear._forward(activation), y, slope, alpha)
