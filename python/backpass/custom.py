"""Training with a callable loss (pred, y) -> (value, gradient): the loop returns to Python for every batch."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import data
from .alone import turned
from .diagnosis import raise_non_finite
from .evaluation import checked_data
from .history import History
from .loop import SLICE_SECONDS, Feed, Loop, Shuffle, new_feed
from .program import call
from .runs import Position
from .signals import deliver, opened
from .steps import Plan
from .train import Asked, run

if TYPE_CHECKING:
    from .model import Model


def fit_with_callable(
    model: "Model", X: Any, y: Any, sample_weight: Any, class_weight: Any, asked: Asked
) -> History:
    """What `Model.fit` does where the loss is a callable; the rows come in the same order as with any other loss."""
    X, target, _ = checked_data(model, X, y, sample_weight, class_weight)

    def loop(size: int, shuffle: bool) -> Loop:
        return _CallableLoop(model, new_feed(X, target), size, shuffle)

    return run(model, loop, (X, target), asked)


def step_with_callable(model: "Model", x: np.ndarray, y: Any) -> float:
    """What `Model.step` does."""
    y = data.own_targets(y, len(x))
    plan = model.forward_plan(x.shape)
    step: _Step = model.programs.of(plan, "step", lambda: _Step(model, plan, model.counters(), 0))
    return step.run(x, y)


class _Step:
    """The programs of one training step: forward, the loss, backward, and what is kept of it all at once."""

    def __init__(self, model: "Model", plan: Plan, counters: dict[str, np.ndarray], rows: int) -> None:
        """counters: step, cursor and total; rows: that the cursor moves on."""
        self.model, self.plan, self.loss = model, plan, np.zeros(1)
        self.forward = model.backend.compile(plan.forward)
        self.backward = model.backend.compile(plan.backward)
        count = np.full(1, float(len(plan.x)))
        update = [
            *model.update_instructions(self.loss),
            *plan.kept,
            call("advance", **counters, loss=self.loss, count=count, rows=rows),
        ]
        self.update = model.backend.compile(update, model.halt)

    def run(self, x: np.ndarray, y: np.ndarray) -> float:
        """One batch; its loss before the update."""
        model, plan = self.model, self.plan
        assert plan.dout is not None
        plan.x[...] = x
        self.forward.run(1, model.threads)
        model.last_pass = None
        value: float
        value, gradient = turned(model, opened, call_loss, model, plan.out.copy(), y)
        if model.last_pass is not None:
            raise RuntimeError(
                "the loss called forward(training=True) of its own model, which is in the middle of a step"
            )
        model.last_pass = model.programs.trained = plan
        plan.dout[...] = data.quiet_cast(gradient, model.dtype)
        self.backward.run(1, model.threads)
        self.loss[0] = value
        if self.update.run(1, model.threads) < 1:
            raise_non_finite(model, plan)
        return value


def call_loss(model: "Model", pred: np.ndarray, y: Any) -> tuple[float, np.ndarray]:
    """Call the user's loss and check what it returns."""
    assert model.callable_loss is not None
    result = model.callable_loss(pred, y)
    name = f"loss {getattr(model.callable_loss, '__name__', model.callable_loss)!r}"
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise TypeError(f"{name} returned {type(result).__name__}, expected a pair (value, gradient)")
    value, gradient = np.asarray(result[0]), np.asarray(result[1])
    if value.ndim or value.dtype.kind not in "fiu":
        what = f"an array of shape {value.shape}" if value.ndim else repr(result[0])
        raise TypeError(f"{name} returned {what} as its value, expected one number")
    if gradient.dtype.kind not in "fiu":
        raise TypeError(f"{name} returned a gradient of dtype {gradient.dtype}, expected numbers")
    if gradient.shape != pred.shape:
        raise ValueError(
            f"{name} returned a gradient of shape {gradient.shape}, expected {pred.shape} like pred"
        )
    return float(value), gradient


class _CallableLoop:
    """An epoch as a Python loop over batches."""

    def __init__(self, model: "Model", feed: Feed, size: int, shuffle: bool) -> None:
        self.model, self.feed, self.size = model, feed, size
        counters = {"step": model.step_count, "cursor": feed.cursor, "total": feed.total}
        self.steps = {
            rows: _Step(model, model.forward_plan((rows, *feed.X.shape[1:])), counters, rows)
            for rows in {size, len(feed.X) % size} - {0}
        }
        self.shuffle = Shuffle(model, feed.index) if shuffle else None

    def position(self) -> Position:
        """How much of the epoch is done; each batch's loss is weighted by its rows."""
        return self.feed.position()

    def begin(self, number: int, at: Position) -> None:
        """Get ready for one epoch, from `at` on."""
        self.feed.go_to(at)
        if self.shuffle:
            self.shuffle.run(number)

    def slices(self, pace: Callable[[], int]) -> Iterator[int]:
        """Run it; yields the number of steps done after each slice."""
        feed, size = self.feed, self.size
        began, most = time.perf_counter(), pace()
        for start in range(feed.position().rows, len(feed.X), size):
            rows = feed.index[start : start + size]
            turned(self.model, self.steps[len(rows)].run, feed.X[rows], feed.y[rows])
            deliver()
            most -= 1
            if most < 1 or start + size >= len(feed.X) or time.perf_counter() - began > SLICE_SECONDS:
                yield start // size + 1
                began, most = time.perf_counter(), pace()
