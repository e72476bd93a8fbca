"""The epochs of a run: one program call for many steps; Python only between slices of about 50 ms."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from . import batches
from .alone import turned
from .diagnosis import raise_non_finite
from .memory import aligned
from .program import Instruction, call
from .runs import Position
from .sampling import Order, row_order
from .steps import Plan

if TYPE_CHECKING:
    from .model import Model

SLICE_SECONDS = 0.05


@dataclass
class Feed:
    """The data of a run and the counters that move through it."""

    X: Any  # (N, ...): an array, or what a subclass reads
    y: np.ndarray
    weight: np.ndarray | None
    index: np.ndarray  # the order of the rows in this epoch
    cursor: np.ndarray  # the next row
    total: np.ndarray  # Σ loss · count, Σ count of this epoch
    elsewhere: ClassVar[bool] = False  # whether the plan's x is not what the layers read

    @classmethod
    def of(cls, X: Any, y: np.ndarray, weight: np.ndarray | None = None) -> Self:
        """The rows as they come, from the first."""
        return cls(X, y, weight, row_order(len(X)), aligned((1,), np.int64), aligned((2,), np.float64))

    def gather(self, plan: Plan) -> list[Instruction]:
        """The instructions that fill a plan's batch."""
        assert plan.target is not None
        out = [*self.gather_inputs(plan), self._gather(self.y, plan.target)]
        if self.weight is not None and plan.weight is not None:
            out.append(self._gather(self.weight, plan.weight))
        return out

    def gather_inputs(self, plan: Plan) -> list[Instruction]:
        """Those for X alone."""
        return [self._gather(self.X, plan.x)]

    def read(self, instructions: list[Instruction], plan: Plan) -> list[Instruction]:
        """The instructions of the layers, reading the batch where it is."""
        return instructions

    def counters(self, model: "Model") -> dict[str, np.ndarray]:
        """What a step of a run counts."""
        return {"step": model.step_count, "cursor": self.cursor, "total": self.total}

    def go_to(self, at: Position) -> None:
        """Set the counters."""
        self.cursor[0] = at.rows
        self.total[:] = at.total, at.weight

    def position(self) -> Position:
        """What the counters say."""
        return Position(int(self.cursor[0]), *self.total.tolist())

    def _gather(self, source: np.ndarray, out: np.ndarray) -> Instruction:
        name = (batches.gather_labels if out.dtype == np.int64 else batches.gather).__name__
        rows = source.reshape(len(source), -1)
        return call(name, source=rows, index=self.index, cursor=self.cursor, out=out.reshape(len(out), -1))


class Loop(Protocol):
    """What `run` needs of whatever computes an epoch."""

    def begin(self, number: int, at: Position) -> None:
        """Get ready for one epoch, from `at` on."""

    def slices(self, pace: Callable[[], int]) -> Iterator[None]:
        """Run it; yields after each slice of about 50 ms, or `pace()` steps."""

    def position(self) -> Position:
        """How much of the epoch is done, at any moment after `begin`."""


class Steps(Protocol):
    """A program of training steps."""

    def run(self, steps: int, threads: int) -> int:
        """Run so many steps, or to one that is not finite; returns the number of whole steps done."""


class BatchLoop:
    """The programs of a run: one for whole batches, one for the rest of an epoch."""

    def __init__(self, model: "Model", feed: Feed, size: int, rows: int) -> None:
        self.model, self.feed, self.size = model, feed, size
        self.programs = {count: self.program(count) for count in (size, rows % size) if count}
        self.seconds_per_step = SLICE_SECONDS

    def program(self, rows: int) -> tuple[Steps, Plan]:
        """What trains on batches of so many rows."""
        feed, model = self.feed, self.model
        target = (feed.y.shape[1:], feed.y.dtype)
        shape = rows, *feed.X.shape[1:]
        plan = model.training_plan(shape, target, feed.weight is not None, feed.elsewhere)
        instructions = [
            *feed.gather(plan),
            *feed.read([*plan.forward, *plan.loss_part, *plan.backward], plan),
            *self.penalty(plan.loss, plan.count),
            *model.update_instructions(plan.loss),
            *plan.kept,
            call("advance", loss=plan.loss, count=self.weight(plan, rows), rows=rows, **feed.counters(model)),
        ]
        return model.backend.compile(instructions, model.halt), plan

    def penalty(self, loss: np.ndarray, count: np.ndarray) -> list[Instruction]:
        """What comes on top of a batch's loss and gradients; `count` is the weight of its rows."""
        return []

    def weight(self, plan: Plan, rows: int) -> np.ndarray:
        """What a batch counts in the epoch's mean loss: (1,)."""
        return plan.count

    def threads(self) -> int:
        """For the next steps; 0: all there are."""
        return self.model.threads

    def train(self, rows: int, pace: Callable[[], int]) -> Iterator[None]:
        """Train on the rows from the cursor to `rows`, the last batch as small as need be; yields after each slice."""
        while left := rows - int(self.feed.cursor[0]):
            size = min(left, self.size)
            program, plan = self.programs[size]
            steps = max(1, min(left // size, pace(), int(SLICE_SECONDS / self.seconds_per_step)))
            self.model.programs.trained = plan
            start = time.perf_counter()
            ran = turned(self.model, program.run, steps, self.threads())
            self.seconds_per_step = max((time.perf_counter() - start) / steps, 1e-9)
            if ran < steps and self.model.halt[0]:
                raise_non_finite(self.model, plan)
            yield


class ProgramLoop(BatchLoop):
    """An epoch over arrays."""

    def __init__(self, model: "Model", feed: Feed, size: int, order: Order) -> None:
        super().__init__(model, feed, size, len(feed.X))
        self.order = order

    def position(self) -> Position:
        return self.feed.position()

    def begin(self, number: int, at: Position) -> None:
        self.feed.go_to(at)
        self.order.begin(number)

    def slices(self, pace: Callable[[], int]) -> Iterator[None]:
        return self.train(len(self.feed.X), pace)
