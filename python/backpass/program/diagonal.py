"""The diagonal of a matrix."""

import numpy as np

from .symbolic import SymbolicTensor, apply, product


def diag(x: SymbolicTensor, diagonal: int = 0) -> SymbolicTensor:
    """The elements of a diagonal of a matrix; of one dimension the matrix that has them there, else zeros.

    diagonal: 0 for the main one, above 0 for one above it, below 0 for one below.
    """
    above, below = max(diagonal, 0), max(-diagonal, 0)
    if x.ndim == 1:
        size = len(x) + above + below
        # Row i has element i of x at column i + diagonal.
        rows = apply(x.builder, "where", np.eye(size, k=diagonal)[:, above : above + len(x)], x, 0.0)
        return product(x.builder, rows, np.eye(size)[above : above + len(x)])
    if x.ndim != 2:
        raise ValueError(f"diag: x has shape {x.shape}, expected one dimension or two")
    kept = apply(x.builder, "where", np.eye(x.shape[0], x.shape[1], diagonal), x, 0.0)
    return kept[below : below + max(0, min(x.shape[0] - below, x.shape[1] - above))].sum(1)
