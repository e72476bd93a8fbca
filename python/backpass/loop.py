"""The epochs of a run: one program call for many steps; Python only between slices of about 50 ms."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from . import batches
from .alone import turned
from .backends import Executor
from .diagnosis import raise_non_finite
from .program import Instruction, aligned, call
from .runs import Position
from .signals import opened
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

    def go_to(self, at: Position) -> None:
        """Set the counters."""
        self.cursor[0] = at.rows
        self.total[:] = at.total, at.weight

    def position(self) -> Position:
        """What the counters say."""
        return Position(min(int(self.cursor[0]), len(self.X)), *self.total.tolist())

    def _gather(self, source: np.ndarray, out: np.ndarray) -> Instruction:
        name = (batches.gather_labels if source.dtype == np.int64 else batches.gather).__name__
        rows = source.reshape(len(source), -1)
        return call(name, source=rows, index=self.index, cursor=self.cursor, out=out.reshape(len(out), -1))


class Loop(Protocol):
    """What `run` needs of whatever computes an epoch."""

    def begin(self, number: int, at: Position) -> None:
        """Get ready for one epoch, from `at` on."""

    def slices(self, pace: Callable[[], int]) -> Iterator[int]:
        """Run it; yields the number of steps done after each slice of about 50 ms, or `pace()` steps."""

    def position(self) -> Position:
        """How much of the epoch is done, at any moment after `begin`."""


def new_feed(X: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> Feed:
    """The rows as they come, from the first."""
    return Feed(X, y, weight, row_order(len(X)), aligned((1,), np.int64), aligned((2,), np.float64))


def row_order(rows: int) -> np.ndarray:
    """The rows as they come; `shuffle` reorders it in place."""
    index = aligned((rows,), np.int64)
    index[:] = np.arange(rows)
    return index


class Shuffle:
    """Puts the rows into the order of an epoch."""

    def __init__(self, model: "Model", index: np.ndarray) -> None:
        self.epoch = aligned((1,), np.int64)
        shuffling = call("shuffle", epoch=self.epoch, index=index, seed=model.seed)
        self.program = model.backend.compile([shuffling])

    def run(self, number: int) -> None:
        """The order of this epoch."""
        self.epoch[0] = number
        self.program.run()


class ProgramLoop:
    """The programs of a run: one for whole batches, one for the rest of an epoch."""

    def __init__(self, model: "Model", feed: Feed, size: int, shuffle: bool) -> None:
        self.model, self.feed, self.size = model, feed, size
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
                    *plan.kept,
                    advance,
                ]
                self.programs.append((model.backend.compile(instructions, model.halt), plan, steps))
        self.shuffle = Shuffle(model, feed.index) if shuffle else None
        self.seconds_per_step = SLICE_SECONDS

    def position(self) -> Position:
        """How much of the epoch is done."""
        return self.feed.position()

    def begin(self, number: int, at: Position) -> None:
        """Get ready for one epoch, from `at` on."""
        self.feed.go_to(at)
        if self.shuffle:
            self.shuffle.run(number)

    def slices(self, pace: Callable[[], int]) -> Iterator[int]:
        """Run it; yields the number of steps done after each slice."""
        done = behind = -(-self.position().rows // self.size)
        for executor, plan, steps in self.programs:
            left = steps - min(behind, steps)
            behind -= steps - left
            while left:
                slice_steps = max(1, min(left, pace(), int(SLICE_SECONDS / self.seconds_per_step)))
                self.model.programs.trained = plan
                start = time.perf_counter()
                ran = opened(turned, self.model, executor.run, slice_steps, self.model.threads)
                self.seconds_per_step = max((time.perf_counter() - start) / slice_steps, 1e-9)
                if ran < slice_steps and self.model.halt[0]:
                    raise_non_finite(self.model, plan)
                done, left = done + ran, left - ran
                yield done
