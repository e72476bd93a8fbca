"""Training with a callable loss (pred, y) -> (value, gradient): the loop returns to Python for every batch."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .data import own_targets
from .evaluation import checked_data
from .history import History
from .loop import SLICE_SECONDS, Loop
from .runs import Asked, Position, Run, fingerprint
from .sampling import Order, classes_of, row_order
from .train import run

if TYPE_CHECKING:
    from .model import Model


def fit_with_callable(
    model: "Model", X: Any, y: Any, sample_weight: Any, class_weight: Any, asked: Asked
) -> History:
    """What `Model.fit` does where the loss is a callable; the rows come in the same order as with any other loss."""
    X, target, _ = checked_data(model, X, y, sample_weight, class_weight)

    def loop(this: Run) -> Loop:
        classes = classes_of(model, target) if this.sampler else None
        order = Order(model, row_order(len(X)), this.shuffle, classes)
        return _CallableLoop(model, X, target, this.batch_size, order)

    return run(model, loop, len(X), fingerprint((X, target)), asked)


def step_with_callable(model: "Model", x: np.ndarray, y: Any) -> float:
    """One training step; returns the loss before the update."""
    y = own_targets(y, len(x))
    pred = model.forward(x, training=True)
    value, gradient = call_mixed(model, pred, y)
    model.backward(gradient)
    model.update(value)
    return value


def call_mixed(model: "Model", pred: np.ndarray, y: Any) -> tuple[float, np.ndarray]:
    """The user's loss of the last forward(training=True); where nn.MixUp mixed rows, both rows' targets have their share."""
    if model.mixing is None:
        return call_loss(model, pred, y)
    share, partner = model.mixing
    (value, gradient), (others, slope) = call_loss(model, pred, y), call_loss(model, pred, y[partner])
    return share * value + (1 - share) * others, share * gradient + (1 - share) * slope


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

    def __init__(self, model: "Model", X: np.ndarray, y: np.ndarray, size: int, order: Order) -> None:
        self.model, self.X, self.y, self.size, self.order = model, X, y, size, order
        self.at = Position()

    def position(self) -> Position:
        """How much of the epoch is done; each batch's loss is weighted by its rows."""
        return self.at

    def epoch(self, number: int, pace: Callable[[], int], at: Position) -> Iterator[int]:
        """Run one epoch from `at` on; yields the number of steps done after each slice."""
        self.order.begin(number)
        self.at = at
        began, most = time.perf_counter(), pace()
        for done, start in enumerate(range(at.rows, len(self.X), self.size), 1):
            rows = self.order.index[start : start + self.size]
            total = self.at.total + step_with_callable(self.model, self.X[rows], self.y[rows]) * len(rows)
            self.at = Position(start + len(rows), total, float(start + len(rows)))
            most -= 1
            if most < 1 or self.at.rows == len(self.X) or time.perf_counter() - began > SLICE_SECONDS:
                yield done + -(-at.rows // self.size)
                began, most = time.perf_counter(), pace()
