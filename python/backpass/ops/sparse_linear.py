"""Linear layer on the rows of a sparse matrix, read where they lie: no dense batch, no step for a zero."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from collections.abc import Iterator

import numpy as np

from .contract import Dims, constant, index, op
from .formulas import ACTIVATIONS
from .linear import finish

ROWS = "starts[N]:int64 ends[N]:int64 columns[Z]:int64 values[Z] index[N]:int64 cursor[1]:int64"


def anywhere(rng: np.random.Generator, shape: tuple[int, ...], dims: Dims) -> np.ndarray:
    """A sample of places among the values."""
    return rng.integers(0, dims["Z"] + 1, shape)


SAMPLES = {
    "starts": anywhere,
    "ends": anywhere,
    "columns": index("I"),
    "index": index("N"),
    "cursor": constant(0),
}


def nonzeros(
    starts, ends, columns, values, index, cursor, count: int, features: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(b, columns, values) of the rows of the batch, those that there are."""
    for b, row in enumerate(index[cursor[0] : cursor[0] + count]):
        span = slice(starts[row], ends[row])
        mask = columns[span] < features
        yield b, columns[span][mask], values[span][mask]


@op(
    f"{ROWS} weight[I,O] bias[O]? -> y[B,O] slope[B,O]?",
    samples={**SAMPLES, "activation": [*ACTIVATIONS], "alpha": [0.7]},
    padded=("y", "slope"),
)
def sparse_linear_forward(
    starts,
    ends,
    columns,
    values,
    index,
    cursor,
    weight,
    bias,
    y,
    slope,
    activation: str = "identity",
    alpha: float = 0.0,
):
    """linear_forward for x[b] = row index[cursor + b] of a sparse matrix (N, I), its values from `starts` to `ends`."""
    y[...] = 0
    for b, row_columns, x in nonzeros(starts, ends, columns, values, index, cursor, len(y), len(weight)):
        y[b] = x @ weight[row_columns]
    finish(y, bias, slope, activation, alpha)


@op(f"{ROWS} dy[B,O] -> dweight[I,O] dbias[O]?", samples=SAMPLES, padded=("dy",))
def sparse_linear_backward(starts, ends, columns, values, index, cursor, dy, dweight, dbias):
    """dW = xᵀ dy, db = Σ dy for the same x."""
    dweight[...] = 0
    for b, row_columns, x in nonzeros(starts, ends, columns, values, index, cursor, len(dy), len(dweight)):
        np.add.at(dweight, row_columns, x[:, None] * dy[b])
    if dbias is not None:
        np.sum(dy, axis=0, out=dbias)
