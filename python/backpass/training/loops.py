"""The epochs of a run: one program call for many steps; Python only between slices of about 50 ms."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..backends.base import Executor
from ..data.feed import Feed, Position
from ..data.order import Order
from ..data.targets import target_of
from ..engine.engine import Engine
from ..engine.nonfinite import raise_non_finite
from ..engine.own_loss import OwnLossStep
from ..engine.run import Run
from ..engine.step import loss_and_gradients, step
from ..program import Instruction
from ..program.carried import Carried
from ..program.plan import BackwardPlan
from ..system.exclusive import switched
from ..system.signals import deliver, held, opened

if TYPE_CHECKING:
    from .measured import Seen
    from .recorder import Recorder
    from .short_epochs import ShortEpochs

SLICE_SECONDS = 0.05
# Epochs that have less Python between them, 20 µs each, than it takes to do without; and where models train beside each other,
# whose threads wait up to a millisecond for each other's Python.
FEW, FEW_BESIDE = 12, 4


class Loop(Protocol):
    """What `fit` needs of whatever computes an epoch."""

    def begin(self, number: int, position: Position) -> None:
        """Get ready for one epoch, from `position` on."""

    def slices(self, pace: Callable[[], int]) -> Iterator[None]:
        """Run it; yields after each slice of about 50 ms, or `pace()` steps."""

    def ahead(self, first: int, epochs: int) -> None:
        """Run short epochs from `first` on, at most so many, about a slice of them; the rest is for `begin` and `slices`."""

    def passed(self) -> tuple[list[dict[str, float]], Position]:
        """What `ahead` did: the logs of whole epochs, with "lr", said once; and how much of the next epoch is done."""

    def position(self) -> Position:
        """How much of the epoch is done, at any moment after `begin`."""

    def logs(self) -> dict[str, float]:
        """The loss of the rows done so far."""

    @property
    def better(self) -> Mapping[str, str]:
        """The metrics of the rows that are trained on, and what of each is better."""

    def measured(self) -> dict[str, float]:
        """These metrics, of the rows done so far."""

    def go_on(self, run: Run) -> None:
        """Keep what they are computed from in the run, and take over what an interrupted epoch has kept."""

    def agree(self) -> None:
        """After callbacks have heard of a slice: where several ranks train, all end if one wants to."""


class Steps(Protocol):
    """A program of training steps."""

    def run(self, steps: int, threads: int) -> int:
        """Run so many steps, or to one that is not finite; returns the number of whole steps done."""


class BatchLoop:
    """The programs of a run: one for whole batches, one for the rest of an epoch.

    They are compiled when they are first needed, and again after a setting has changed.
    """

    def __init__(
        self, engine: Engine, feed: Feed, size: int, rows: int, carried: Carried | None = None
    ) -> None:
        self.engine, self.feed, self.size, self.carried = engine, feed, size, carried
        self.seconds_per_step = SLICE_SECONDS
        self._sizes = [count for count in (size, rows % size) if count]
        self.recorder = self._recorder(rows)
        self._compile()

    def _recorder(self, rows: int) -> "Recorder | None":
        """What keeps the outputs of an epoch of so many rows; None: no metric asks for it."""
        if not self.engine.metrics:
            return None
        from .recorder import Recorder  # here: `import backpass` is to be quick

        return Recorder(self.engine, self.engine.metrics, self.feed, rows)

    def _compile(self) -> None:
        self.engine.refresh()
        self._version = self.engine.version
        self.programs = {count: self._checked(count) for count in self._sizes}
        loss, mixed = self.engine.builtin_loss, any(plan.targets for _, plan in self.programs.values())
        self._metric = loss.metric if loss and not mixed and self.correct() is not None else None
        if mixed:  # rows that are mixed (MixUp) have no target to compare with
            self.recorder = None

    def _checked(self, rows: int) -> tuple[Steps, BackwardPlan]:
        try:
            return self.program(rows)
        except ValueError as error:
            if rows == self.size:
                raise
            advice = (
                f"the last batch of an epoch has {rows} of {self.size} rows: drop_last=True leaves it out"
            )
            raise ValueError(f"{error}; {advice}") from None

    def program(self, rows: int) -> tuple[Steps, BackwardPlan]:
        """What trains on batches of so many rows."""
        feed, engine = self.feed, self.engine
        specs = feed.inputs.specs(rows, engine.dtype)
        if engine.loss_function:
            plan = engine.plans.own_loss(specs)
            own_step = OwnLossStep(engine, plan, feed.counters(engine.step_counts), rows, self.penalty)
            recorder = None if plan.targets else self.recorder
            if recorder:
                recorder.prepare(plan)
            return _OwnLossSteps(own_step, feed, rows, recorder), plan
        weight = None if feed.weight is None else feed.weight.shape[1:]
        training = engine.plans.training(specs, target_of(feed.y), weight, self.carried)
        instructions = step(
            training,
            engine,
            feed.counters(engine.step_counts),
            gather=feed.gather(training),
            passes=feed.read(loss_and_gradients(training), training),
            penalty=self.penalty(training.loss, training.count),
            count=self.weight(training, rows),
            rows=rows,
            correct=self.correct(),
            recorded=self.recorder.instructions(training) if self.recorder and not training.targets else (),
        )
        return engine.backend.compile(instructions, engine.halt), training

    def penalty(self, loss: np.ndarray, count: np.ndarray) -> list[Instruction]:
        """What comes on top of a batch's loss and gradients; `count` is the weight of its rows."""
        return []

    def weight(self, plan: BackwardPlan, rows: int) -> np.ndarray:
        """What a batch counts in the epoch's mean loss: (1,)."""
        return plan.count

    def threads(self) -> int:
        """For the next steps; 0: all there are."""
        return self.engine.threads

    def correct(self) -> np.ndarray | None:
        """(2,) where the rows of an epoch that are right are counted; None: nobody asks."""
        return self.feed.correct

    def logs(self) -> dict[str, float]:
        """The mean loss of the epoch so far, and the accuracy of its batches when they were trained on."""
        return self._logs(self.feed.position())

    def _logs(self, position: Position) -> dict[str, float]:
        return {"loss": position.loss} | ({self._metric: position.accuracy} if self._metric else {})

    @property
    def better(self) -> Mapping[str, str]:
        """The metrics of the rows that are trained on, and what of each is better."""
        return self.recorder.metrics.better if self.recorder else {}

    def measured(self) -> dict[str, float]:
        """These metrics, of the rows of the epoch so far: of the outputs that their steps began with."""
        return self._measured(self.recorder.seen(self.position().rows)) if self.recorder else {}

    def _measured(self, seen: "Seen") -> dict[str, float]:
        from .measured import measured

        assert self.recorder is not None
        inputs = self.feed.inputs.specs(1, self.engine.dtype)
        return opened(measured, self.engine, self.recorder.metrics, inputs, seen)

    def ahead(self, first: int, epochs: int) -> None:
        """They all ask for Python."""

    def passed(self) -> tuple[list[dict[str, float]], Position]:
        """Nothing."""
        return [], Position()

    def go_on(self, run: Run) -> None:
        """Keep what they are computed from in the run, and take over what an interrupted epoch has kept."""
        if self.recorder:
            if run.position.rows:
                self.recorder.go_on(run.outputs, run.position.rows)
            run.outputs = self.recorder.kept
        else:
            run.outputs = {}

    def position(self) -> Position:
        """How much of the epoch is done."""
        return self.feed.position()

    def agree(self) -> None:
        """One rank agrees with itself."""

    def _refresh(self) -> None:
        """Take over settings that were changed since."""
        self.engine.refresh()
        if self.engine.version != self._version:
            self._compile()

    def train(self, rows: int, pace: Callable[[], int]) -> Iterator[None]:
        """Train on the rows from the cursor to `rows`, the last batch as small as need be; yields after each slice."""
        engine = self.engine
        while rows_left := rows - int(self.feed.cursor[0]):
            self._refresh()
            size = min(rows_left, self.size)
            program, plan = self.programs[size]
            steps = max(1, min(rows_left // size, pace(), int(SLICE_SECONDS / self.seconds_per_step)))
            engine.plans.trained = plan
            start = time.perf_counter()
            ran = switched(engine.usage, program.run, steps, self.threads())
            self.seconds_per_step = max((time.perf_counter() - start) / steps, 1e-9)
            if ran < steps and engine.halt[0]:
                raise_non_finite(engine, plan)
            yield


class EpochLoop(BatchLoop):
    """An epoch over arrays."""

    _short: "ShortEpochs | None" = None

    def __init__(
        self,
        engine: Engine,
        feed: Feed,
        size: int,
        order: Order,
        rows: int,
        carried: Carried | None = None,
    ) -> None:
        self.order, self.rows = order, rows
        super().__init__(engine, feed, size, rows, carried)

    def _compile(self) -> None:
        super()._compile()
        self._short = None

    def ahead(self, first: int, epochs: int) -> None:
        self.feed.go_to(Position())
        self._refresh()
        engine, whole, rest = self.engine, self.rows // self.size, self.rows % self.size
        # What asks for Python in each epoch.
        asks = self.recorder or self.carried or self.order.arranged or engine.loss_function
        if asks or engine.flat.sparse or 2 * whole * self.seconds_per_step > SLICE_SECONDS:
            return
        if self._short is None and epochs < (FEW_BESIDE if engine.leave else FEW):
            return
        if self._short is None:
            from .short_epochs import ShortEpochs  # here: `import backpass` is to be quick

            turns: list[tuple[Executor, int]] = []
            for rows, steps in zip(self._sizes, (whole, 1), strict=False):
                program, _ = self.programs[rows]
                assert isinstance(program, Executor)
                turns.append((program, steps))
            self._short = ShortEpochs(engine, self.feed, self.order, turns)
        engine.plans.trained = self.programs[rest or self.size][1]
        self._short.run(first, epochs, SLICE_SECONDS, self.threads())

    def passed(self) -> tuple[list[dict[str, float]], Position]:
        passed = self._short.passed() if self._short else []
        return [self._logs(position) | {"lr": lr} for position, lr in passed], self.feed.position()

    def begin(self, number: int, position: Position) -> None:
        self.feed.go_to(position)
        if self.recorder:
            self.recorder.begin(position.rows)
        self.order.begin(number)
        if self.carried and not position.rows:
            self.carried.reset()

    def slices(self, pace: Callable[[], int]) -> Iterator[None]:
        return self.train(self.rows, pace)


class _OwnLossSteps:
    """Steps on one batch of a feed after the other; none of them is torn by a signal."""

    def __init__(self, step: OwnLossStep, feed: Feed, rows: int, recorder: "Recorder | None") -> None:
        self.step, self.feed, self.rows, self.recorder = step, feed, rows, recorder

    def run(self, steps: int, threads: int) -> int:
        feed = self.feed
        with held() as between_steps:
            for _ in range(steps):
                start = int(feed.cursor[0])
                rows = feed.index[start : start + self.rows]
                y = feed.y[rows]
                self.step.run(feed.inputs.batch(rows), y, threads)
                if self.recorder:
                    self.recorder.append(self.step.plan, y)
                if between_steps:
                    deliver()
        return steps
