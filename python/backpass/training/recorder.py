"""Recorder: what the metrics of an epoch are computed from, kept batch by batch: outputs, targets, weights, lengths."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from ..data.feed import Feed
from ..engine.engine import Engine
from ..metrics import Metrics
from ..ops import append_labels, append_rows
from ..program import Builder, Instruction, Rows, Tensor, call, parts_of
from ..program.plan import BackwardPlan, TrainingPlan
from ..program.several import Several
from .measured import Seen


class Recorder:
    """Rows of an epoch in the order in which they are trained on, as their steps leave them, before the update.

    The arrays are made for all rows when the first plan is known. A step appends to them without Python.
    """

    def __init__(self, engine: Engine, metrics: Metrics, feed: Feed, rows: int) -> None:
        self.engine, self.metrics, self.feed, self.rows = engine, metrics, feed, rows
        self.kept: dict[str, np.ndarray] = {}
        self.counts: dict[str, np.ndarray] = {}
        # The outputs and targets of one batch: whether they are several, and their names.
        self._pred: Rows = np.empty(0)

    def instructions(self, plan: TrainingPlan) -> list[Instruction]:
        """What appends the batch of a plan."""
        builder = Builder(self.engine.dtype, training=False)
        for name, array in self._sources(plan, plan.target, plan.weight):
            op = append_labels if array.dtype == np.int64 else append_rows
            x = _matrix(builder.contiguous(Tensor(array)).array)
            kept = _matrix(self._room(name, array))
            builder.instructions.append(call(op, x=x, kept=kept, count=self.counts[name]))
        return builder.instructions

    def prepare(self, plan: BackwardPlan) -> None:
        """Make room for batches of a plan whose loss Python computes."""
        for name, array in self._sources(plan, self.feed.y, None):
            self._room(name, array)

    def append(self, plan: BackwardPlan, y: Rows) -> None:
        """Append such a batch."""
        for name, array in self._sources(plan, y, None):
            start = int(self.counts[name][0])
            self.kept[name][start : start + len(array)] = array
            self.counts[name] += len(array)

    def begin(self, rows: int) -> None:
        """So many rows of the epoch are there."""
        for count in self.counts.values():
            count[0] = rows

    def go_on(self, outputs: Mapping[str, np.ndarray], rows: int) -> None:
        """Take over what a run has kept that was interrupted within an epoch."""
        for name, array in self.kept.items():
            if name not in outputs or outputs[name].shape != (rows, *array.shape[1:]):
                raise ValueError(
                    f"metrics is {self.metrics.given!r:.80}, but the interrupted run had none and stopped within an epoch: leave"
                    " them out until it is over"
                )
            array[:rows] = outputs[name]

    def seen(self, rows: int) -> Seen:
        """The rows so far."""
        pred, target = (
            _like(
                given,
                {name.removeprefix(kind): a[:rows] for name, a in self.kept.items() if name.startswith(kind)},
            )
            for kind, given in (("pred.", self._pred), ("target.", self.feed.y))
        )
        weight = self.kept["weight"][:rows] if "weight" in self.kept else None
        lengths = {
            int(name.removeprefix("lengths.")): a[:rows]
            for name, a in self.kept.items()
            if name.startswith("lengths.")
        }
        return Seen(pred, target, weight, lengths)

    def _sources(
        self, plan: BackwardPlan, target: Rows, weight: np.ndarray | None
    ) -> Iterator[tuple[str, np.ndarray]]:
        self._pred = plan.out
        for kind, given in (("pred", plan.out), ("target", target)):
            names = [*given.parts] if isinstance(given, Several) else [""]
            for name, array in zip(names, parts_of(given), strict=True):
                yield f"{kind}.{name}", array
        if weight is not None:
            yield "weight", weight
        for steps, lengths in plan.lengths_by_steps.items():
            yield f"lengths.{steps}", lengths

    def _room(self, name: str, array: np.ndarray) -> np.ndarray:
        if name not in self.kept:
            self.kept[name] = np.empty((self.rows, *array.shape[1:]), array.dtype)
            self.counts[name] = np.zeros(1, np.int64)
        return self.kept[name]


def _matrix(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), prod(array.shape[1:]))


def _like(given: Any, parts: dict[str, np.ndarray]) -> Rows:
    return Several(parts, given.named) if isinstance(given, Several) else parts[""]
