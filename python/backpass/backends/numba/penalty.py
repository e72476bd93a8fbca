"""The L2 penalty and its gradient."""

import numpy as np

from ...ops.contract import CHUNK
from .compiler import direct, jit, jit_sums


@direct
@jit_sums
def l2_gradient(weight, dweight, count, partials, alpha):
    dtype = weight.dtype.type
    decay = dtype(alpha / (count[0] if count[0] != 0 else 1.0))
    for p in range(partials.size):
        total = 0.0
        for i in range(min(p * CHUNK, weight.size), min((p + 1) * CHUNK, weight.size)):
            w = np.float64(weight[i])
            total += w * w
            dweight[i] += decay * weight[i]
        partials[p] = total


@direct
@jit
def l2_loss(partials, count, loss, alpha, share):
    total = 0.0
    for p in range(partials.size):
        total += partials[p]
    loss[0] = share * loss[0] + 0.5 * alpha * total / (count[0] if count[0] != 0 else 1.0)
