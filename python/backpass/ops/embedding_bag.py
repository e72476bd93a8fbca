"""Bags: each row of indices chooses rows of a table, which are summed up, or of which the largest of each column is taken."""

import numpy as np

from .contract import index as below
from .contract import op, positive
from .indexing import embedding_backward
from .table_rows import RUNS, add_runs, positions_of_runs


@op(
    "weight[V,E] index[B,L]:int64 -> y[B,E] scale[B] top[B,E]:int64?",
    samples={"index": below("V"), "mean": [False, True], "padding_idx": [-1, 2]},
    strided=("index",),
)
def embedding_bag_forward(weight, index, y, scale, top, mean: bool = False, padding_idx: int = -1):
    """y_b = scale_b Σ_l weight[index_bl], scale_b = 1 / (indices that count) for the mean, else 1; an empty bag is 0.

    padding_idx does not count, -1: all do. With top, y_b is the largest of each column, first at top_b (-1 in an empty bag),
    and scale is 1. NaN where an index is not in 0 .. V-1.
    """
    counted = (index != padding_idx) | (padding_idx < 0)
    inside = (index >= 0) & (index < len(weight))
    rows = np.full((*index.shape, weight.shape[1]), np.nan, weight.dtype)
    rows[inside] = weight[index[inside]]
    scale[...] = 1
    if mean and top is None:
        scale[...] = 1 / np.maximum(counted.sum(axis=1), 1) * counted.any(axis=1)
    if top is None:
        y[...] = np.where(counted[..., None], rows, 0).sum(axis=1) * scale[:, None]
        return
    y[...], top[...] = 0, -1
    for bag in np.flatnonzero(counted.any(axis=1)):
        places = np.flatnonzero(counted[bag])
        first = rows[bag, places].argmax(axis=0)
        y[bag], top[bag] = rows[bag, places].max(axis=0), places[first]


@op(
    embedding_backward.signature.replace("index[*]", "index[B,L]"),
    samples=embedding_backward.samples,
    strided=("index",),
    sizes=lambda dims, scalars: {"M": dims["B"] * dims["L"]},
)
def embedding_bag_backward(weight, index, order, rows, ends, count, padding_idx: int = -1):
    """The positions of the index by the rows that they choose: embedding_backward."""
    embedding_backward(weight, index, order, rows, ends, count, padding_idx)


@op(
    "dy[B,E] scale[B] top[B,E]:int64? order[M]:int64 rows[M]:int64 ends[M]:int64 count[1]:int64"
    " -> drows[R,E]? dweight[V,E]?",
    samples=RUNS
    | {"scale": positive, "top": lambda rng, shape, dims: rng.integers(-1, max(dims["M"], 1), shape)},
)
def embedding_bag_backward_weight(dy, scale, top, order, rows, ends, count, dweight, drows):
    """As embedding_backward_weight, with the gradient scale_b dy_b of its bag for each position.

    With top, it is that of the columns whose top_b is the position, else 0. L = M / B.
    """
    bags = len(dy)
    length = len(order) // max(bags, 1)
    run, place = positions_of_runs(order, ends, count, bags * length)
    bag, at = np.divmod(place, max(length, 1))
    gradients = dy[bag] * scale[bag, None]
    if top is not None:
        gradients = np.where(top[bag] == at[:, None], gradients, 0)
    add_runs(dweight, drows, rows, run, np.arange(len(run)), gradients)
