"""Elements chosen by index: rows of a table, and elements along the last dimension.

An index below 0 or beyond the end gives NaN, at which the guard of a training step refuses the step; it has no gradient.
"""

import numpy as np

from .contract import index as below
from .contract import op


def _inside(index, size):
    return (index >= 0) & (index < size)


@op("weight[V,E] index[*]:int64 -> y[*,E]", samples={"index": below("V")}, strided=("index",))
def embedding_forward(weight, index, y, padding_idx: int = -1):
    """y_i = weight[index_i], NaN where index_i is not in 0 .. V-1. The row padding_idx has no gradient; -1: every row has."""
    inside = _inside(index, len(weight))
    y[...] = np.nan
    y[inside] = weight[index[inside]]


@op(
    "dy[*,E] index[*]:int64 -> dweight[V,E]",
    samples={"index": below("V"), "padding_idx": [-1, 2]},
    strided=("dy", "index"),
)
def embedding_backward(dy, index, dweight, padding_idx: int = -1):
    """dweight_v = Σ_i dy_i [index_i = v], added up in the order of i; 0 for v = padding_idx."""
    flowing = _inside(index, len(dweight)) & (index != padding_idx)
    dweight[...] = 0
    np.add.at(dweight, index[flowing], dy[flowing])


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
