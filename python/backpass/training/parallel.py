"""Data parallel steps: each rank computes the gradient of its part of a batch, one sum adds them up, and all update alike."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise, zip_longest
from typing import NoReturn

import numpy as np

from ..backends import Executor
from ..data.feed import Feed, Position
from ..data.order import Order
from ..data.targets import target_of
from ..engine.engine import Engine
from ..engine.nonfinite import check_weights, raise_non_finite
from ..engine.plans import PlanCache
from ..engine.run import Run
from ..engine.step import loss_and_gradients, metric, update
from ..errors import NonFiniteError
from ..program.meeting import cut, cut_behind
from ..program.plan import BackwardPlan
from ..system.exclusive import switched
from ..system.memory import aligned
from ..system.signals import deliver, held
from .loops import SLICE_SECONDS, EpochLoop
from .measured import Seen
from .ranks import Flags, sum_in_order
from .together import SUMS, Together


class ParallelLoop(EpochLoop):
    """An epoch of several ranks. A batch is cut into shards, by its size and their number alone; each rank has as many.

    With g_s the mean gradient of shard s and c_s its weight, the gradient of the batch is Σ c_s g_s / Σ c_s; so are the loss, and
    the change of running statistics.
    """

    def __init__(
        self, engine: Engine, feed: Feed, size: int, order: Order, rows: int, together: Together
    ) -> None:
        self.together, self.ranks = together, together.ranks
        # Moves over the shards of a batch, where the feed's own cursor moves over batches.
        self.shard = replace(feed, cursor=aligned((1,), np.int64), correct=aligned((2,), np.float64))
        # Counts shards, so that no two draw the same random numbers.
        self.shard_step = aligned((1,), np.int64)
        self.loss, self.count = aligned((1,), np.float64), aligned((1,), np.float64)
        # Where in the order of an epoch the rows are that the recorder has.
        self._places: list[np.ndarray] = []
        self.plan: BackwardPlan | None = None
        # What each shard of this rank adds; of a single one that is what the rank sends.
        own, each = self.ranks.own, self.ranks.shards // self.ranks.size
        self.parts = own[None] if each == 1 else np.zeros((each, len(own)), engine.dtype)
        super().__init__(engine, feed, size, order, rows)
        self._sum = getattr(engine.loss, "reduction", "mean") == "sum"

    def _compile(self) -> None:
        engine = self.engine
        engine.refresh()
        self._version = engine.version
        self.plans = PlanCache(
            engine.net,
            engine.loss,
            engine.backend,
            engine.dtype,
            engine.seed,
            self.shard_step,
            engine.precision,
        )
        self.plans.shared = self.ranks.size > 1
        # Where this rank has no rows at all, a plan tells how often it has to meet the others.
        rows = {count for size in self._sizes for _, count in self.shards(size) if count} or {1}
        self.passes = {count: self.shard_pass(count) for count in rows}
        self.updates = {size: self.update(size) for size in self._sizes}
        mixed = any(plan.targets for _, plan in self.passes.values())
        self._metric = None if mixed else engine.loss.metric
        if mixed:
            self.recorder = None

    def shard_pass(self, rows: int) -> tuple[list[Executor], BackwardPlan]:
        """What computes loss, gradient and statistics of a shard of so many rows, up to each meeting or message, and the rest."""
        feed, engine = self.shard, self.engine
        weight = None if feed.weight is None else feed.weight.shape[1:]
        plan = self.plans.training(feed.inputs.specs(rows, engine.dtype), target_of(feed.y), weight)
        if plan.whole_batch and self.ranks.shards > 1:
            raise ValueError(
                "comm is given, but the network or the loss computes rows of a batch from each other, expected each from its own;"
                " of nn.traced(f) one number for each row"
            )
        instructions = [
            *feed.gather(plan),
            *feed.read(loss_and_gradients(plan), plan),
            *plan.kept,
            *metric(plan, engine, feed.correct),
            *(self.recorder.instructions(plan) if self.recorder and not plan.targets else ()),
        ]
        parts = (
            cut_behind(instructions, engine.flat.grads, self.together.ahead)
            if self.together.ahead
            else cut(instructions, plan.meetings)
        )
        return [engine.backend.compile(part) for part in parts], plan

    def update(self, rows: int) -> Executor:
        """What updates the weights after a batch of so many rows."""
        engine, counters = self.engine, self.feed.counters(self.engine.step_counts)
        ending = update(engine, self.loss, counters, count=self.count, rows=rows)
        return engine.backend.compile(ending, engine.halt)

    def shards(self, size: int, cursor: int = 0) -> list[tuple[int, int]]:
        """Of the batch at a cursor: where in the order of the rows each shard of this rank begins, and how many rows it has."""
        ranks = self.ranks
        each = ranks.shards // ranks.size
        first, number = ranks.rank * each, ranks.shards
        if self.together.apart:
            first, number, size, cursor = 0, each, size // ranks.size, cursor // ranks.size
        return [
            (cursor + start, end - start)
            for start, end in pairwise(size * place // number for place in range(first, first + each + 1))
        ]

    def agree(self) -> None:
        self.together.agree()

    def begin(self, number: int, position: Position) -> None:
        super().begin(number, position)
        self._places.clear()

    def go_on(self, run: Run) -> None:
        if self.recorder and run.position.rows:
            raise ValueError(
                f"metrics is {self.recorder.metrics.given!r:.80}, but the run was interrupted within an epoch, whose outputs each"
                " rank had for itself: leave them out until it is over"
            )
        run.outputs = {}

    def measured(self) -> dict[str, float]:
        """Of the rows of all ranks, in the order of the epoch, by rank 0."""
        if not self.recorder:
            return {}
        self.ranks.meet(Flags())
        places = np.concatenate([np.empty(0, np.int64), *self._places])
        told = self.ranks.gather((self.recorder.seen(len(places)), places))
        found = {}
        if told:
            order = np.argsort(np.concatenate([places for _, places in told]), kind="stable")
            found = self._measured(Seen.joined([seen for seen, _ in told]).ordered(order))
        self.ranks.meet(Flags())
        return dict(self.ranks.share(found))

    def train(self, rows: int, pace: Callable[[], int]) -> Iterator[None]:
        engine = self.engine
        while int(self.feed.cursor[0]) < rows:
            engine.refresh()
            if engine.version != self._version:
                self._compile()
            if not switched(engine.usage, self._slice, rows, pace()):
                self._raise_non_finite()
            yield

    def _raise_non_finite(self) -> NoReturn:
        """The rank whose own part is not finite knows the layer; the others hear of it (`Ranks`)."""
        check_weights(self.engine)
        if np.isfinite(self.ranks.sent).all():
            step = int(self.engine.step_count[0])
            raise NonFiniteError(f"step {step}: the sum of the ranks' gradients is not finite", step, "")
        raise_non_finite(self.engine, self.plan)

    def _slice(self, rows: int, most: int) -> bool:
        """Steps until a rank wants to look; False after one that was not finite. None of them is torn by a signal."""
        start, steps = time.perf_counter(), 0
        with held() as between_steps, np.errstate(all="ignore"):
            while rows_left := rows - int(self.feed.cursor[0]):
                steps += 1
                due = steps >= most or time.perf_counter() - start >= SLICE_SECONDS
                whole, look = self._step(min(rows_left, self.size), due)
                if not whole:
                    return False
                if between_steps:
                    deliver()
                if look:
                    break
        return True

    def _step(self, size: int, due: bool) -> tuple[bool, bool]:
        """One step; returns whether it was finite, and whether a rank wants to look."""
        engine, ranks, statistics = self.engine, self.ranks, self.together.statistics
        grads, cursor = engine.flat.grads, int(self.feed.cursor[0])
        before = [array.copy() for array in statistics]
        here = self.shards(size, cursor)
        first = int(engine.step_count[0]) * ranks.shards + ranks.rank * len(here)
        for number, (shard, part) in enumerate(zip(here, self.parts, strict=True)):
            self._fill(part, first + number, *shard, before)
        if len(here) > 1:
            ranks.own[:] = sum_in_order([*self.parts])
        flags = ranks.sum(Flags(look=due))
        loss, count, right, judged = ranks.total[:SUMS].tolist()
        divisor = 1.0 if self._sum else count or 1.0
        np.divide(ranks.total[self.together.head :], divisor, out=grads)
        self.loss[0], self.count[0] = loss / divisor, 1.0 if self._sum else count
        if self.updates[size].run(1, self.threads()) < 1:
            return False, True
        self.feed.correct += right, judged
        start = SUMS
        for array in statistics:
            change = ranks.total[start : start + array.size].reshape(array.shape) / (count or 1.0)
            array += change if array.dtype.kind == "f" else np.rint(change).astype(array.dtype)
            start += array.size
        return True, flags.look > 0

    def _fill(self, out: np.ndarray, step: int, start: int, rows: int, before: list[np.ndarray]) -> None:
        """What a shard adds: c · loss, c, rows right, rows judged, c · change of the statistics, c · gradient."""
        engine, statistics, ahead = self.engine, self.together.statistics, self.together.ahead
        grads, gradients = engine.flat.grads, out[self.together.head :]
        if not rows:
            out[:] = 0
            _, plan = next(iter(self.passes.values()))
            for _ in plan.meetings:
                self.ranks.add_up(np.empty(0))
            return
        self.shard_step[0], self.shard.cursor[0], self.shard.correct[:] = step, start, 0
        programs, self.plan = self.passes[rows]
        engine.plans.trained = self.plan
        end = len(grads)
        for program, meeting, begin in zip_longest(programs, self.plan.meetings, ahead):
            program.run(1, self.threads())
            count = float(self.plan.count[0])
            if meeting is not None:
                meeting.hear(self.ranks.add_up(meeting.tell(count)), count)
            if begin is not None:
                np.multiply(grads[begin:end], count, out=gradients[begin:end])
                self.ranks.send()
                end = begin
        if self.recorder:
            self._places.append(np.arange(start, start + rows))
        np.multiply(grads[:end], count, out=gradients[:end])
        place = SUMS
        for array, old in zip(statistics, before, strict=True):
            out[place : place + array.size] = count * (array - old).ravel()
            place += array.size
            array[...] = old
        out[:SUMS] = count * self.plan.loss[0], count, *self.shard.correct
