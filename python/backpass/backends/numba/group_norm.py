"""Group normalisation: sample by sample, sums by channel in float64."""

import numpy as np

from .compiler import direct, jit


@jit
def _group_norm_forward(x, weight, bias, y, mean, inv_std, eps):
    samples, length, groups, channels = x.shape
    dtype = y.dtype.type
    count = max(length * channels, 1)
    for b in range(samples):
        total, squares = np.zeros(groups), np.zeros(groups)
        for i in range(length):
            for g in range(groups):
                for c in range(channels):
                    total[g] += x[b, i, g, c]
        for g in range(groups):
            mean[b, g] = dtype(total[g] / count)
        for i in range(length):
            for g in range(groups):
                for c in range(channels):
                    d = x[b, i, g, c] - mean[b, g]
                    squares[g] += d * d
        for g in range(groups):
            inv_std[b, g] = dtype(1 / np.sqrt(squares[g] / count + eps))
        for i in range(length):
            for g in range(groups):
                for c in range(channels):
                    normal = (x[b, i, g, c] - mean[b, g]) * inv_std[b, g]
                    if weight is not None:
                        normal *= weight[g, c]
                    if bias is not None:
                        normal += bias[g, c]
                    y[b, i, g, c] = normal


@jit
def _group_norm_backward(x, weight, mean, inv_std, dy, dx, slopes, shifts):
    samples, length, groups, channels = x.shape
    dtype = dy.dtype.type
    count = max(length * channels, 1)
    for b in range(samples):
        slope, shift = np.zeros((groups, channels)), np.zeros((groups, channels))
        for i in range(length):
            for g in range(groups):
                for c in range(channels):
                    shift[g, c] += dy[b, i, g, c]
                    slope[g, c] += dy[b, i, g, c] * ((x[b, i, g, c] - mean[b, g]) * inv_std[b, g])
        slopes[b] = slope
        shifts[b] = shift
        if dx is None:
            continue
        for g in range(groups):
            by_slope = by_shift = 0.0
            for c in range(channels):
                factor = 1.0 if weight is None else weight[g, c]
                by_slope += slope[g, c] * factor
                by_shift += shift[g, c] * factor
            mean_slope, mean_shift = dtype(by_slope / count), dtype(by_shift / count)
            for i in range(length):
                for c in range(channels):
                    normal = (x[b, i, g, c] - mean[b, g]) * inv_std[b, g]
                    d = dy[b, i, g, c]
                    if weight is not None:
                        d *= weight[g, c]
                    dx[b, i, g, c] = inv_std[b, g] * (d - (mean_shift + normal * mean_slope))


@jit
def _group_norm_backward_weight(slopes, shifts, dweight, dbias):
    samples, groups, channels = slopes.shape
    slope, shift = np.zeros((groups, channels)), np.zeros((groups, channels))
    for b in range(samples):
        for g in range(groups):
            for c in range(channels):
                slope[g, c] += slopes[b, g, c]
                shift[g, c] += shifts[b, g, c]
    if dweight is not None:
        dweight[:] = slope
    if dbias is not None:
        dbias[:] = shift


group_norm_forward = direct(_group_norm_forward)
group_norm_backward = direct(_group_norm_backward)
group_norm_backward_weight = direct(_group_norm_backward_weight)
