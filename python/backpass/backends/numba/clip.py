"""The norm of the gradient, and the guard."""

import numpy as np

from ...ops.contract import CHUNK
from .compiler import direct, jit, jit_sums


@direct
@jit_sums
def gradient_norm(grads, partials):
    for p in range(partials.size):
        total = 0.0
        chunk = grads[p * CHUNK : (p + 1) * CHUNK]
        for i in range(chunk.size):
            g = np.float64(chunk[i])
            total += g * g
        partials[p] = total


@direct
@jit
def clip_scale(loss, partials, norm, scale, halt, max_norm):
    total = 0.0
    for p in range(partials.size):
        total += partials[p]
    norm[0] = np.sqrt(total)
    ratio = max_norm / (norm[0] + 1e-6)
    scale[0] = ratio if ratio < 1 else 1.0
    halt[0] = 0 if np.isfinite(loss[0]) and np.isfinite(norm[0]) else 1
