"""Elements chosen by index: rows of a table, and elements along the last dimension.

An index below 0 or beyond the end gives NaN, at which the guard of a training step refuses the step; it has no gradient.
"""

import math

import numpy as np

from .contract import as_rows, op
from .contract import index as below
from .table_rows import RUNS, add_runs, positions_of_runs, runs


def _inside(index, size):
    return (index >= 0) & (index < size)


@op("weight[V,E] index[*]:int64 -> y[*,E]", samples={"index": below("V")}, strided=("index",))
def embedding_forward(weight, index, y, padding_idx: int = -1):
    """y_i = weight[index_i], NaN where index_i is not in 0 .. V-1. The row padding_idx has no gradient; -1: every row has."""
    inside = _inside(index, len(weight))
    y[...] = np.nan
    y[inside] = weight[index[inside]]


@op(
    "weight[V,E] index[*]:int64 -> order[M]:int64 rows[M]:int64 ends[M]:int64 count[1]:int64",
    samples={"index": below("V"), "padding_idx": [-1, 2]},
    strided=("index",),
    sizes=lambda dims, scalars: {"M": math.prod(dims["*"])},
)
def embedding_backward(weight, index, order, rows, ends, count, padding_idx: int = -1):
    """order[ends_{k-1} .. ends_k) are the positions i with index_i = rows_k, in the order of i, for k < count; rows ascend.

    Left out are padding_idx and what is not in 0 .. V-1. Behind, order and rows are -1, ends is 0.
    """
    found = runs(index, _inside(index, len(weight)) & (index != padding_idx))
    for array, values, rest in zip((order, rows, ends), found, (-1, -1, 0), strict=True):
        array[...] = rest
        array[: len(values)] = values
    count[0] = len(found[1])


@op(
    "dy[*,E] order[M]:int64 rows[M]:int64 ends[M]:int64 count[1]:int64 -> drows[R,E]? dweight[V,E]?",
    samples=RUNS,
    strided=("dy",),
)
def embedding_backward_weight(dy, order, rows, ends, count, dweight, drows):
    """s_k = Σ_i dy_i over the positions i of run k of embedding_backward, added up in their order.

    dweight_v = s_k for v = rows_k, 0 for other rows; drows_k = s_k for k < count, 0 behind. Positions beyond dy count as 0.
    """
    gradients = as_rows(dy)
    run, place = positions_of_runs(order, ends, count, len(gradients))
    add_runs(dweight, drows, rows, run, place, gradients)


@op("x[*,V] index[*,K]:int64 -> y[*,K]", samples={"index": below("V")}, strided=("x", "index"))
def gather_forward(x, index, y):
    """y_k = x[index_k] in every row, NaN where index_k is not in 0 .. V-1."""
    inside = _inside(index, x.shape[-1])
    y[...] = np.nan
    y[inside] = x[(*inside.nonzero()[:-1], index[inside])]


@op("dy[*,K] index[*,K]:int64 -> dx[*,V]", samples={"index": below("V")}, strided=("dy", "index"))
def gather_backward(dy, index, dx):
    """dx_v = Σ_k dy_k [index_k = v] in every row, added up in the order of k."""
    inside = _inside(index, dx.shape[-1])
    dx[...] = 0
    np.add.at(dx, (*inside.nonzero()[:-1], index[inside]), dy[inside])
