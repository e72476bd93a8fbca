"""Clipping by norm, and the guard that stops a run before a gradient that is not finite reaches the weights."""

import numpy as np

from .contract import CHUNK, constant, op, positive


def partial_sums(size: int) -> np.ndarray:
    """The buffer for the sums of squares of `size` gradients."""
    return np.zeros(max(-(-size // CHUNK), 1))


@op("grads[N] -> partials[P]:float64")
def gradient_norm(grads, partials):
    """partials[p] = Σ g² over chunk p of 16384 elements; chunks beyond the gradient are 0."""
    for p in range(len(partials)):
        chunk = grads[p * CHUNK : (p + 1) * CHUNK]
        # Squares of float32 above 1e19 overflow, and fit into float64: what clipping is there for.
        quick = np.dot(chunk, chunk)
        partials[p] = quick if np.isfinite(quick) else np.square(chunk, dtype=np.float64).sum()


@op(
    "loss[1]:float64 partials[P]:float64 -> norm[1]:float64 scale[1]:float64 halt[1]:int64",
    samples={"partials": positive, "halt": constant(0), "max_norm": [0.5, float("inf")]},
)
def clip_scale(loss, partials, norm, scale, halt, max_norm: float = float("inf")):
    """norm = √Σ partials; scale = min(1, max_norm / (norm + 1e-6)) (PyTorch's); halt = 1 if loss or norm is not finite."""
    norm[0] = np.sqrt(partials.sum())
    scale[0] = min(1.0, max_norm / (norm[0] + 1e-6))
    halt[0] = 0 if np.isfinite(loss[0]) and np.isfinite(norm[0]) else 1
