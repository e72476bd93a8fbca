"""The data of a run, and the counters that move through them."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from ..ops import gather, gather_labels
from ..program import Instruction, Plan, Rows, TrainingPlan, call, parts_of
from ..system.memory import aligned
from .image_rows import ImageRows
from .inputs import Inputs
from .order import row_order
from .sparse import SparseRows


class Position(NamedTuple):
    """Where in an epoch a run stands."""

    # Rows that it has seen.
    rows: int = 0
    # Σ loss · weight of their batches, and Σ weight.
    total: float = 0.0
    weight: float = 0.0
    # Σ weight of the rows that are right, and Σ weight.
    right: float = 0.0
    judged: float = 0.0

    @property
    def loss(self) -> float:
        """The mean loss of these rows."""
        return self.total / self.weight if self.weight else 0.0

    @property
    def accuracy(self) -> float:
        """The share of the rows that were right when they were trained on."""
        return self.right / self.judged if self.judged else 0.0


@dataclass(eq=False, repr=False)
class Feed:
    """Inputs by name, targets and weights; `index` is the order of the rows in this epoch, `cursor` (1,) the next row."""

    inputs: Inputs
    y: Rows
    weight: np.ndarray | None
    index: np.ndarray
    cursor: np.ndarray
    # Σ loss · count, Σ count of this epoch.
    total: np.ndarray
    # Σ weight of the rows that are right, Σ weight of this epoch.
    correct: np.ndarray

    @classmethod
    def of(cls, inputs: Inputs, y: Rows, weight: np.ndarray | None = None) -> Self:
        """The rows as they come, from the first."""
        index = row_order(inputs.rows)
        cursor, total, correct = aligned((1,), np.int64), aligned((2,), np.float64), aligned((2,), np.float64)
        return cls(inputs, y, weight, index, cursor, total, correct)

    def gather(self, plan: TrainingPlan) -> list[Instruction]:
        """The instructions that fill a plan's batch: inputs, targets, weights."""
        out = [
            self._gather(source, plan.inputs[name])
            for name, source in self.inputs.sources.items()
            if not isinstance(source, SparseRows)
        ]
        pairs = zip(parts_of(self.y), parts_of(plan.target), strict=True)
        out += [self._gather(source, target) for source, target in pairs]
        if self.weight is not None and plan.weight is not None:
            out.append(self._gather(self.weight, plan.weight))
        return out

    def read(self, instructions: list[Instruction], plan: Plan) -> list[Instruction]:
        """Rewrite instructions that read an input to read its source directly, where that is a SparseRows."""
        for name, source in self.inputs.sources.items():
            if isinstance(source, SparseRows):
                instructions = source.read(instructions, plan.inputs[name], self.index, self.cursor)
        return instructions

    def counters(self, step_counts: np.ndarray) -> dict[str, np.ndarray]:
        """The buffers that a step of a run counts in."""
        return {"step": step_counts, "cursor": self.cursor, "total": self.total}

    def go_to(self, position: Position) -> None:
        """Set the counters."""
        self.cursor[0] = position.rows
        self.total[:] = position.total, position.weight
        self.correct[:] = position.right, position.judged

    def position(self) -> Position:
        """What the counters say."""
        return Position(int(self.cursor[0]), *self.total.tolist(), *self.correct.tolist())

    def _gather(self, source: np.ndarray | ImageRows, out: np.ndarray) -> Instruction:
        if isinstance(source, ImageRows):
            return source.gather(out, self.index, self.cursor)
        rows = source.reshape(len(source), -1)
        op = gather_labels if out.dtype == np.int64 else gather
        return call(op, source=rows, index=self.index, cursor=self.cursor, out=out.reshape(len(out), -1))
