"""A sparse X, read where it lies: the first layer's products run on its rows, and no batch is made dense."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..contract import REGISTRY
from ..loop import Feed
from ..model import Model
from ..program import Instruction, address
from ..sampling import row_order
from ..steps import Plan, Spec

ROWS = 1024  # that `predict` takes at a time


class SparseRows:
    """The rows of a SciPy matrix (N, I) as the ops of nn/sparse_linear.py take them."""

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

    def read(
        self, instructions: list[Instruction], x: np.ndarray, index: np.ndarray, cursor: np.ndarray
    ) -> list[Instruction]:
        """The instructions with those of the linear layer on x replaced: its rows are index[cursor], index[cursor + 1], ..."""
        return [
            self._reading(i, index, cursor) if any(_is(x, i.fields[k]) for k in i.op.arrays) else i
            for i in instructions
        ]

    def _reading(self, instruction: Instruction, index: np.ndarray, cursor: np.ndarray) -> Instruction:
        op = REGISTRY[f"sparse_{instruction.op.name}"]
        fields = {k: v for k, v in instruction.fields.items() if k in op.parameters}
        given = self.fields | {"index": index, "cursor": cursor} | fields
        op.check(given)
        return replace(instruction, op=op, fields=op.complete(given))


def _is(x: np.ndarray, array: np.ndarray | None) -> bool:
    return array is not None and array.size > 0 and address(array) == address(x)


class SparseFeed(Feed):
    """A feed whose X are SparseRows."""

    X: SparseRows
    elsewhere = True

    def gather_inputs(self, plan: Plan) -> list[Instruction]:
        return []

    def read(self, instructions: list[Instruction], plan: Plan) -> list[Instruction]:
        return self.X.read(instructions, plan.x, self.index, self.cursor)


def predict(model: Model, X: Any, threads: int) -> np.ndarray:
    """The output of a network that begins with a linear layer for a sparse X: (N, outputs)."""
    rows = SparseRows(X, model.dtype)
    size = min(len(rows), ROWS)
    plan = model.programs.plan(Spec((size, rows.shape[1]), unread=True))
    index, cursor = row_order(len(rows)), np.zeros(1, np.int64)
    program = model.backend.compile(rows.read(plan.forward, plan.x, index, cursor))
    out = np.empty((len(rows), *plan.out.shape[1:]), model.dtype)
    for start in range(0, len(rows), size):
        cursor[0] = start
        program.run(1, threads)
        part = out[start : start + size]
        part[...] = plan.out[: len(part)]
    return out
