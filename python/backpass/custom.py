"""Training with a callable loss (pred, y) -> (value, gradient): the loop returns to Python for every batch."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import data
from .alone import turned
from .diagnosis import raise_non_finite
from .loop import BatchLoop, Feed, ProgramLoop, Steps
from .program import Instruction, call
from .signals import deliver, held
from .steps import Plan

if TYPE_CHECKING:
    from .model import Model


class CallableLoop(ProgramLoop):
    """An epoch over arrays; each batch's loss is weighted by its rows."""

    def program(self, rows: int) -> tuple[Steps, Plan]:
        return callable_program(self, rows)


def callable_program(loop: BatchLoop, rows: int) -> tuple[Steps, Plan]:
    """`BatchLoop.program` for a callable loss."""
    plan = loop.model.forward_plan((rows, *loop.feed.X.shape[1:]))
    step = _Step(loop.model, plan, loop.feed.counters(loop.model), rows, loop.penalty)
    return _Steps(step, loop.feed), plan


class _Steps:
    """Steps on one batch of a feed after the other; none of them is torn by a signal."""

    def __init__(self, step: "_Step", feed: Feed) -> None:
        self.step, self.feed = step, feed

    def run(self, steps: int, threads: int) -> int:
        feed = self.feed
        with held() as between_steps:
            for _ in range(steps):
                start = int(feed.cursor[0])
                rows = feed.index[start : start + len(self.step.plan.x)]
                self.step.run(feed.X[rows], feed.y[rows], threads)
                if between_steps:
                    deliver()
        return steps


def step_with_callable(model: "Model", x: np.ndarray, y: Any) -> float:
    """What `Model.step` does."""
    y = data.own_targets(y, len(x))
    plan = model.forward_plan(x.shape)
    step: _Step = model.programs.of(plan, "step", lambda: _Step(model, plan, model.counters(), 0))
    return step.run(x, y, model.threads)


class _Step:
    """The programs of one training step: forward, the loss, backward, and what is kept of it all at once."""

    def __init__(
        self,
        model: "Model",
        plan: Plan,
        counters: dict[str, np.ndarray],
        rows: int,
        penalty: Callable[[np.ndarray, np.ndarray], list[Instruction]] = lambda loss, count: [],
    ) -> None:
        """counters: step, cursor and total; rows: that the cursor moves on. penalty: as `BatchLoop.penalty`."""
        self.model, self.plan, self.loss = model, plan, np.zeros(1)
        self.forward = model.backend.compile(plan.forward)
        self.backward = model.backend.compile(plan.backward)
        count = np.full(1, float(len(plan.x)))
        update = [
            *penalty(self.loss, count),
            *model.update_instructions(self.loss),
            *plan.kept,
            call("advance", **counters, loss=self.loss, count=count, rows=rows),
        ]
        self.update = model.backend.compile(update, model.halt)

    def run(self, x: np.ndarray, y: np.ndarray, threads: int) -> float:
        """One batch; its loss before the update."""
        model, plan = self.model, self.plan
        assert plan.dout is not None
        plan.x[...] = x
        self.forward.run(1, threads)
        model.last_pass = None
        value: float
        value, gradient = turned(model, call_mixed, model, plan.out.copy(), y, plan.mixture())
        if model.last_pass is not None:
            raise RuntimeError(
                "the loss called forward(training=True) of its own model, which is in the middle of a step"
            )
        model.last_pass = model.programs.trained = plan
        plan.dout[...] = data.quiet_cast(gradient, model.dtype)
        self.backward.run(1, threads)
        self.loss[0] = value
        if self.update.run(1, threads) < 1:
            raise_non_finite(model, plan)
        return value


def call_mixed(
    model: "Model", pred: np.ndarray, y: Any, mixture: tuple[float, np.ndarray] | None
) -> tuple[float, np.ndarray]:
    """The user's loss of a training batch; where nn.MixUp mixed rows, both rows' targets have their share."""
    if mixture is None:
        return call_loss(model, pred, y)
    share, partner = mixture
    value, gradient = call_loss(model, pred.copy(), y)  # which may overwrite what it gets
    others, slope = call_loss(model, pred, y[partner])
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
