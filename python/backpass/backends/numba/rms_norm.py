"""Normalisation by the root mean square: row by row, sums in float64."""

import numpy as np

from ...ops.contract import as_rows
from .compiler import Bound, flat, jit_sums, maybe


@jit_sums
def _rms_norm_forward(x, weight, y, inv_rms, eps):
    dtype = x.dtype.type
    features = x.shape[1]
    for r in range(x.shape[0]):
        total = 0.0
        for c in range(features):
            total += x[r, c] * x[r, c]
        scale = dtype(1 / np.sqrt(total / max(features, 1) + eps))
        inv_rms[r] = scale
        for c in range(features):
            normal = x[r, c] * scale
            if weight is not None:
                normal *= weight[c]
            y[r, c] = normal


@jit_sums
def _rms_norm_backward(x, weight, inv_rms, dy, dx, dweight):
    dtype = dy.dtype.type
    features = x.shape[1]
    slope = np.zeros(features)
    for r in range(x.shape[0]):
        scale = inv_rms[r]
        total = 0.0
        for c in range(features):
            normal = x[r, c] * scale
            g = dy[r, c] if weight is None else dy[r, c] * weight[c]
            total += g * normal
            slope[c] += dy[r, c] * normal
        if dx is not None:
            mean = dtype(total / max(features, 1))
            for c in range(features):
                g = dy[r, c] if weight is None else dy[r, c] * weight[c]
                dx[r, c] = scale * (g - x[r, c] * scale * mean)
    if dweight is not None:
        dweight[:] = slope


def rms_norm_forward(x, weight, y, inv_rms, eps) -> Bound:
    return _rms_norm_forward, (as_rows(x), weight, as_rows(y), flat(inv_rms), eps)


def rms_norm_backward(x, weight, inv_rms, dy, dx, dweight) -> Bound:
    return _rms_norm_backward, (
        *(as_rows(x), weight, flat(inv_rms), as_rows(dy), maybe(as_rows, dx), dweight),
    )
