"""Batch normalisation of [R,C], many rows of few channels: images with their channels last.

Each part of the rows gives sums of its own, which the second op adds up: both are cut by rows, and read x once.
"""

import numpy as np

from .contract import op, positive
from .formulas import ACTIVATIONS
from .linear import finish

# Elements of a part, and the most parts: together they read what fits into a cache.
PART, MOST_PARTS = 32768, 32


def parts_of_rows(rows: int, channels: int) -> int:
    """How many parts the rows are cut into."""
    return min(max(-(-rows * channels // PART), 1), MOST_PARTS, max(rows, 1))


def _sizes(dims, scalars):
    return {"P": parts_of_rows(dims["R"], dims["C"])}


def _part_size(rows, parts):
    return max(-(-rows // max(parts, 1)), 1)


@op("x[R,C] -> means[P,C]:float64 squares[P,C]:float64", sizes=_sizes)
def batch_norm_moments(x, means, squares):
    """Of each part of ⌈R/P⌉ rows, by channel: its mean, and Σ (x - mean)²; 0 for a part without rows."""
    size = _part_size(len(x), len(means))
    for p in range(len(means)):
        part = x[p * size : (p + 1) * size].astype(np.float64)
        means[p] = part.sum(axis=0) / max(len(part), 1)
        squares[p] = ((part - means[p]) ** 2).sum(axis=0)


@op(
    "x[R,C] weight[C]? bias[C]? means[P,C]:float64 squares[P,C]:float64 other[R,C]?"
    " -> y[R,C] slope[R,C]? mean[C] inv_std[C] var[C]?",
    samples={"squares": positive, "eps": [1e-5], "activation": [*ACTIVATIONS], "alpha": [0.7]},
    activates=True,
)
def batch_norm_rows(
    x, weight, bias, means, squares, other, y, slope, mean, inv_std, var, eps: float = 1e-5, activation: str = "identity",
    alpha: float = 0.0,
):  # fmt: skip
    """mean and var of all rows from those of their parts (Chan et al. 1979); y = f((x - mean) inv_std weight + bias + other).

    slope = f' there, as in linear_forward. other: of a branch beside.
    """
    size, count = _part_size(len(x), len(means)), max(len(x), 1)
    rows = np.clip(len(x) - size * np.arange(len(means)), 0, size)[:, None]
    middle = (rows * means).sum(axis=0) / count
    biased = (squares + rows * (means - middle) ** 2).sum(axis=0) / count
    mean[...] = middle
    inv_std[...] = 1 / np.sqrt(biased + eps)
    if var is not None:
        var[...] = biased
    np.subtract(x, mean, out=y)
    y *= inv_std
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    finish(y, other, slope, activation, alpha)


@op(
    "x[R,C] mean[C] inv_std[C] dy[R,C] -> slopes[P,C]:float64 shifts[P,C]:float64",
    samples={"inv_std": positive},
    sizes=_sizes,
)
def batch_norm_rows_backward(x, mean, inv_std, dy, slopes, shifts):
    """Of each part of ⌈R/P⌉ rows, by channel: Σ dy x̂ and Σ dy, with x̂ = (x - mean) inv_std."""
    size, normal = _part_size(len(x), len(slopes)), (x - mean) * inv_std
    for p in range(len(slopes)):
        part = slice(p * size, (p + 1) * size)
        slopes[p] = (dy[part] * normal[part]).sum(axis=0, dtype=np.float64)
        shifts[p] = dy[part].sum(axis=0, dtype=np.float64)


@op(
    "x[R,C] weight[C]? mean[C] inv_std[C] dy[R,C] slopes[P,C]:float64 shifts[P,C]:float64"
    " -> dx[R,C]? dweight[C]? dbias[C]?",
    samples={"inv_std": positive},
)
def batch_norm_rows_backward_weight(x, weight, mean, inv_std, dy, slopes, shifts, dx, dweight, dbias):
    """dweight = Σ slopes; dbias = Σ shifts; dx = weight inv_std (dy - (dbias + x̂ dweight) / R)."""
    slope, shift = slopes.sum(axis=0), shifts.sum(axis=0)
    if dweight is not None:
        dweight[...] = slope
    if dbias is not None:
        dbias[...] = shift
    if dx is not None:
        slope, shift = ((part / max(len(x), 1)).astype(x.dtype) for part in (slope, shift))
        scale = inv_std if weight is None else inv_std * weight
        dx[...] = scale * (dy - (shift + (x - mean) * inv_std * slope))
