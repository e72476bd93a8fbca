"""The epochs of a run: one program call for many steps; Python only between slices of about 50 ms."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from . import batches
from .backends import Executor
from .diagnosis import raise_non_finite
from .program import Instruction, call
from .runs import Position
from .sampling import Order
from .steps import Plan

if TYPE_CHECKING:
    from .model import Model

SLICE_SECONDS = 0.05


@dataclass
class Feed:
    """The data of a run and the counters that move through it."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    index: np.ndarray  # the order of the rows in this epoch
    cursor: np.ndarray  # the next row
    total: np.ndarray  # Σ loss · count, Σ count of this epoch

    def gather(self, plan: Plan) -> list[Instruction]:
        """The instructions that fill a plan's batch."""
        assert plan.target is not None
        out = [self._gather(self.X, plan.x), self._gather(self.y, plan.target)]
        if self.weight is not None and plan.weight is not None:
            out.append(self._gather(self.weight, plan.weight))
        return out

    def _gather(self, source: np.ndarray, out: np.ndarray) -> Instruction:
        name = (batches.gather_labels if source.dtype == np.int64 else batches.gather).__name__
        rows = source.reshape(len(source), -1)
        return call(name, source=rows, index=self.index, cursor=self.cursor, out=out.reshape(len(out), -1))


class Loop(Protocol):
    """What `run` needs of whatever computes an epoch."""

    def epoch(self, number: int, pace: Callable[[], int], at: Position) -> Iterator[int]:
        """Run one epoch from `at` on; yields the number of steps done after each slice of about 50 ms, or `pace()` steps."""

    def position(self) -> Position:
        """How much of the epoch is done."""


class BatchLoop:
    """The programs of a run: one for whole batches, one for the rest of an epoch."""

    def __init__(self, model: "Model", feed: Feed, size: int, rows: int) -> None:
        self.model, self.feed, self.size = model, feed, size
        self.programs: dict[int, tuple[Executor, Plan]] = {}  # by the rows of a batch
        for count in (size, rows % size):
            if count and count <= rows:
                self.programs[count] = self._program(count)
        self.seconds_per_step = SLICE_SECONDS

    def _program(self, rows: int) -> tuple[Executor, Plan]:
        feed, model = self.feed, self.model
        target = (feed.y.shape[1:], feed.y.dtype)
        plan = model.training_plan((rows, *feed.X.shape[1:]), target, feed.weight is not None)
        counters = {"step": model.step_count, "cursor": feed.cursor, "total": feed.total}
        instructions = [
            *feed.gather(plan),
            *plan.forward,
            *plan.loss_part,
            *plan.backward,
            *model.update_instructions(plan.loss),
            call("advance", loss=plan.loss, count=plan.count, rows=rows, **counters),
        ]
        return model.backend.compile(instructions, model.halt), plan

    def steps(self, rows: int, steps: int, pace: Callable[[], int]) -> Iterator[int]:
        """Run steps with batches of so many rows; yields the number of those done since the last slice."""
        executor, plan = self.programs[rows]
        while steps:
            slice_steps = max(1, min(steps, pace(), int(SLICE_SECONDS / self.seconds_per_step)))
            self.model.programs.trained = plan
            start = time.perf_counter()
            ran = executor.run(slice_steps, self.model.threads)
            self.seconds_per_step = max((time.perf_counter() - start) / slice_steps, 1e-9)
            if ran < slice_steps and self.model.halt[0]:
                raise_non_finite(self.model, plan)
            steps -= ran
            yield ran


class ProgramLoop(BatchLoop):
    """An epoch over arrays."""

    def __init__(self, model: "Model", feed: Feed, size: int, order: Order) -> None:
        super().__init__(model, feed, size, len(feed.X))
        self.order = order

    def position(self) -> Position:
        return Position(min(int(self.feed.cursor[0]), len(self.feed.X)), *self.feed.total.tolist())

    def epoch(self, number: int, pace: Callable[[], int], at: Position) -> Iterator[int]:
        self.order.begin(number)
        self.feed.cursor[0] = at.rows
        self.feed.total[:] = at.total, at.weight
        whole, rest = divmod(len(self.feed.X), self.size)
        done = -(-at.rows // self.size)
        for rows, steps in ((self.size, whole - done), (rest, whole + 1 - max(done, whole))):
            for ran in self.steps(rows, steps, pace) if rows and steps > 0 else ():
                done += ran
                yield done
