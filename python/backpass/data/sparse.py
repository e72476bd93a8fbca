"""A SciPy matrix, read where it lies: the first linear layer's products run on its rows, and no batch is made dense."""

from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np

from ..ops import linear_backward, linear_forward, sparse_linear_backward, sparse_linear_forward
from ..program import Instruction, address

# The ops that read rows of a matrix, and what they are for a dense batch.
SPARSE = {linear_forward: sparse_linear_forward, linear_backward: sparse_linear_backward}


def is_sparse(X: Any) -> bool:
    """Whether X is a SciPy sparse matrix or array."""
    return hasattr(X, "toarray") and hasattr(X, "tocsr")


class SparseRows:
    """The rows of a SciPy matrix (N, I) as the ops of ops/sparse_linear.py take them."""

    def __init__(self, X: Any, dtype: np.dtype[Any]) -> None:
        X = X.tocsr()
        if not X.has_sorted_indices:  # the columns in order, as a dense row has them: the same bits
            X = X.sorted_indices()
        self.shape: tuple[int, int] = X.shape
        with np.errstate(over="ignore"):  # what is too large for the model's dtype is infinite there
            values = np.require(X.data, dtype, ["C", "A"])
        starts = X.indptr.astype(np.int64)
        self.fields = {
            "starts": starts[:-1], "ends": starts[1:], "columns": X.indices.astype(np.int64), "values": values,
        }  # fmt: skip

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Self:
        new = copy(self)
        new.fields = self.fields | {name: self.fields[name][rows] for name in ("starts", "ends")}
        new.shape = len(new.fields["starts"]), self.shape[1]
        return new

    def read(
        self, instructions: list[Instruction], x: np.ndarray, index: np.ndarray, cursor: np.ndarray
    ) -> list[Instruction]:
        """Rewrite the instructions that read x to read rows index[cursor], index[cursor + 1], ... of this matrix."""
        return [
            self._reading(i, index, cursor) if any(_is(x, i.fields[k]) for k in i.op.arrays) else i
            for i in instructions
        ]

    def _reading(self, instruction: Instruction, index: np.ndarray, cursor: np.ndarray) -> Instruction:
        op = SPARSE[instruction.op]
        fields = {k: v for k, v in instruction.fields.items() if k in op.parameters}
        all_fields = self.fields | {"index": index, "cursor": cursor} | fields
        op.check(all_fields)
        return replace(instruction, op=op, fields=op.complete(all_fields))


def _is(x: np.ndarray, array: np.ndarray | None) -> bool:
    return array is not None and array.size > 0 and address(array) == address(x)
