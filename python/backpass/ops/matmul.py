"""Matrix products of tensors, over any leading dimensions."""

import numpy as np

from .contract import op


def in_rows_or_columns(a: np.ndarray) -> bool:
    """Whether the elements of a row of each matrix lie side by side, or those of a column."""
    (rows, columns), (row, column) = a.shape[-2:], (stride // a.itemsize for stride in a.strides[-2:])
    in_rows = columns == 1 or (column == 1 and (rows == 1 or row >= columns))
    in_columns = rows == 1 or (row == 1 and (columns == 1 or column >= rows))
    # A single column lies in rows that may be anything apart, but not one upon the other.
    return (in_rows and (rows == 1 or row >= 1)) or (in_columns and (columns == 1 or column >= 1))


@op("a[*,M,K] b[*,K,N] -> y[*,M,N]", strided=("a", "b"), layout=in_rows_or_columns)
def matmul_forward(a, b, y):
    """y = a b."""
    np.matmul(a, b, out=y)


@op(
    "a[*,M,K] b[*,K,N] dy[*,M,N] -> da[*,M,K]? db[*,K,N]?",
    strided=("a", "b", "dy"),
    layout=in_rows_or_columns,
)
def matmul_backward(a, b, dy, da, db):
    """da = dy bᵀ, db = aᵀ dy."""
    if da is not None:
        np.matmul(dy, b.swapaxes(-1, -2), out=da)
    if db is not None:
        np.matmul(a.swapaxes(-1, -2), dy, out=db)
