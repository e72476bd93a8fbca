"""Short epochs of a run of which nobody hears: many in one call, from the order of their rows to their mean loss."""

import numpy as np

from ..backends.base import Executor
from ..data.feed import Feed, Position
from ..data.order import Order
from ..engine.engine import Engine
from ..ops import append_rows, clip_scale, gather, gather_labels, gradient_norm
from ..ops.clip import partial_sums
from ..program import Instruction, call
from ..system.memory import aligned

# Epochs of one call.
MOST = 256


class ShortEpochs:
    """The programs of an epoch in a row: the order of its rows, its batches, and its end, which notes the sums and makes them 0.

    Args:
        turns: the programs of the batches, each with how many steps an epoch takes of it.
    """

    def __init__(self, engine: Engine, feed: Feed, order: Order, turns: list[tuple[Executor, int]]) -> None:
        self.engine, self.order = engine, order
        self._kept = [np.empty((MOST, size)) for size in (2, 2, 1)]
        # How many epochs are over.
        self._counts = [np.zeros(1, np.int64) for _ in self._kept]
        self._numbers = np.zeros((MOST, 1), np.int64)
        rate = engine.optimizer_state[next(iter(engine.optimizer.rates))]
        noted = [
            call(append_rows, x=source.reshape(1, -1), kept=kept, count=count)
            for source, kept, count in zip(
                (feed.total, feed.correct, rate), self._kept, self._counts, strict=True
            )
        ]
        zeroed = [
            copied(np.zeros((1, counter.size), counter.dtype), counter, np.zeros(1, np.int64))
            for counter in (feed.cursor, feed.total, feed.correct)
        ]
        overflow, compiled = aligned((1,), np.int64), engine.backend.compile
        end = [*overflowing(engine.flat.params, overflow), *noted, *zeroed]
        self._turns = [*turns, (compiled(end, overflow), 1)]
        if order.shuffling is not None:
            begin = [copied(self._numbers, order.epoch, self._counts[0]), order.shuffling]
            self._turns.insert(0, (compiled(begin), 1))

    def run(self, first: int, epochs: int, seconds: float, threads: int) -> None:
        """Run epochs from `first` on, at most so many, until so many seconds have passed at the end of one.

        They end before a step that is not finite, and before the end of an epoch whose weights are not.
        """
        for count in self._counts:
            count[0] = 0
        self._numbers[:, 0] = range(first, first + MOST)
        self.engine.backend.run_epochs(self._turns, min(epochs, MOST), seconds, threads)

    def passed(self) -> list[tuple[Position, float]]:
        """Of each epoch that is over its sums, and the learning rate of its last step; said once."""
        done, self._counts[0][0] = int(self._counts[0][0]), 0
        rows = np.hstack([kept[:done] for kept in self._kept]).tolist()
        return [(Position(0, *sums), lr) for *sums, lr in rows]


def overflowing(params: np.ndarray, halt: np.ndarray) -> list[Instruction]:
    """What sets halt where a weight is not finite."""
    partials, norm, scale = partial_sums(params.size), np.zeros(1), np.zeros(1)
    return [
        call(gradient_norm, grads=params, partials=partials),
        call(clip_scale, loss=np.zeros(1), partials=partials, norm=norm, scale=scale, halt=halt),
    ]


def copied(rows: np.ndarray, out: np.ndarray, cursor: np.ndarray) -> Instruction:
    """What copies the row at the cursor."""
    op = gather_labels if out.dtype == np.int64 else gather
    return call(op, source=rows, index=np.arange(len(rows)), cursor=cursor, out=out.reshape(1, -1))
