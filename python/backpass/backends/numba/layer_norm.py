"""Layer normalisation: row by row, sums in float64."""

import numpy as np

from ...ops.contract import as_rows
from .compiler import Bound, flat, jit_sums, maybe


@jit_sums
def _layer_norm_forward(x, weight, bias, y, mean, inv_std, eps):
    dtype = x.dtype.type
    features = x.shape[1]
    for r in range(x.shape[0]):
        total = 0.0
        for c in range(features):
            total += x[r, c]
        middle = dtype(total / max(features, 1))
        total = 0.0
        for c in range(features):
            d = x[r, c] - middle
            total += d * d
        scale = dtype(1 / np.sqrt(total / max(features, 1) + eps))
        mean[r] = middle
        inv_std[r] = scale
        for c in range(features):
            normal = (x[r, c] - middle) * scale
            if weight is not None:
                normal *= weight[c]
            if bias is not None:
                normal += bias[c]
            y[r, c] = normal


@jit_sums
def _layer_norm_backward(x, weight, mean, inv_std, dy, dx, dweight, dbias):
    dtype = dy.dtype.type
    features = x.shape[1]
    slope, shift = np.zeros(features), np.zeros(features)
    for r in range(x.shape[0]):
        middle, scale = mean[r], inv_std[r]
        sum_g = sum_gn = 0.0
        for c in range(features):
            normal = (x[r, c] - middle) * scale
            g = dy[r, c] if weight is None else dy[r, c] * weight[c]
            sum_g += g
            sum_gn += g * normal
            slope[c] += dy[r, c] * normal
            shift[c] += dy[r, c]
        if dx is not None:
            mean_g, mean_gn = dtype(sum_g / max(features, 1)), dtype(sum_gn / max(features, 1))
            for c in range(features):
                normal = (x[r, c] - middle) * scale
                g = dy[r, c] if weight is None else dy[r, c] * weight[c]
                dx[r, c] = scale * (g - (mean_g + normal * mean_gn))
    if dweight is not None:
        dweight[:] = slope
    if dbias is not None:
        dbias[:] = shift


def layer_norm_forward(x, weight, bias, y, mean, inv_std, eps) -> Bound:
    return _layer_norm_forward, (as_rows(x), weight, bias, as_rows(y), flat(mean), flat(inv_std), eps)


def layer_norm_backward(x, weight, mean, inv_std, dy, dx, dweight, dbias) -> Bound:
    return _layer_norm_backward, (
        *(as_rows(x), weight, flat(mean), flat(inv_std), as_rows(dy), maybe(as_rows, dx), dweight, dbias),
    )
