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


class ProgramLoop:
    """The programs of a run: one for whole batches, one for the rest of an epoch."""

    def __init__(self, model: "Model", feed: Feed, size: int, order: Order) -> None:
        self.model, self.feed, self.size, self.order = model, feed, size, order
        rows = len(feed.X)
        self.programs: list[tuple[Executor, Plan, int]] = []  # with the number of steps an epoch
        for count, steps in ((size, rows // size), (rows % size, 1)):
            if count and steps:
                plan = model.training_plan(
                    (count, *feed.X.shape[1:]), (feed.y.shape[1:], feed.y.dtype), feed.weight is not None
                )
                advance = call(
                    "advance",
                    loss=plan.loss,
                    count=plan.count,
                    step=model.step_count,
                    cursor=feed.cursor,
                    total=feed.total,
                    rows=count,
                )
                instructions = [
                    *feed.gather(plan),
                    *plan.forward,
                    *plan.loss_part,
                    *plan.backward,
                    *model.update_instructions(plan.loss),
                    advance,
                ]
                self.programs.append((model.backend.compile(instructions, model.halt), plan, steps))
        self.seconds_per_step = SLICE_SECONDS

    def position(self) -> Position:
        """How much of the epoch is done."""
        return Position(min(int(self.feed.cursor[0]), len(self.feed.X)), *self.feed.total.tolist())

    def epoch(self, number: int, pace: Callable[[], int], at: Position) -> Iterator[int]:
        """Run one epoch from `at` on; yields the number of steps done after each slice."""
        self.order.begin(number)
        self.feed.cursor[0] = at.rows
        self.feed.total[:] = at.total, at.weight
        done = -(-at.rows // self.size)
        behind = done
        for executor, plan, steps in self.programs:
            left = steps - min(behind, steps)
            behind -= steps - left
            while left:
                slice_steps = max(1, min(left, pace(), int(SLICE_SECONDS / self.seconds_per_step)))
                self.model.programs.trained = plan
                start = time.perf_counter()
                ran = executor.run(slice_steps, self.model.threads)
                self.seconds_per_step = max((time.perf_counter() - start) / slice_steps, 1e-9)
                if ran < slice_steps and self.model.halt[0]:
                    raise_non_finite(self.model, plan)
                done, left = done + ran, left - ran
                yield done
