"""Training steps around a loss of the user's, (pred, y) -> (value, gradient): each returns to Python for the loss."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..data import arrays, targets
from ..data.inputs import Inputs
from ..program import Instruction, Rows, Several, as_given, on_each
from ..program.build import UNREAD
from ..program.plan import OwnLossPlan
from ..system.exclusive import switched
from .engine import Engine
from .nonfinite import raise_non_finite
from .step import update


def step_with_function(engine: Engine, inputs: Inputs, y: Any) -> float:
    """One training step on one batch; returns its loss before the update."""
    y = targets.own_targets(y, inputs.rows)
    plan = engine.plans.own_loss(inputs.specs(inputs.rows, engine.dtype))
    step: OwnLossStep = engine.plans.executor(
        plan, "step", lambda: OwnLossStep(engine, plan, engine.counters())
    )
    return step.run(inputs.batch(slice(None)), y, engine.threads)


class OwnLossStep:
    """The programs of one training step: forward, the loss, backward, and what is kept of it all at once."""

    def __init__(
        self,
        engine: Engine,
        plan: OwnLossPlan,
        counters: dict[str, np.ndarray],
        rows: int = 0,
        penalty: Callable[[np.ndarray, np.ndarray], list[Instruction]] = lambda loss, count: [],
    ) -> None:
        """counters: step, cursor and total; rows: that the cursor moves on. penalty: as `BatchLoop.penalty`."""
        if plan.lengths_unread:
            raise ValueError(f"{UNREAD}, and a loss that is a callable does not get it: give it to that in y")
        self.engine, self.plan = engine, plan
        self.forward = engine.backend.compile(plan.forward)
        self.backward = engine.backend.compile(plan.backward)
        ending = update(
            engine,
            plan.loss,
            counters,
            plan=plan,
            penalty=penalty(plan.loss, plan.count),
            kept=plan.kept,
            count=plan.count,
            rows=rows,
        )
        self.update = engine.backend.compile(ending, engine.halt)

    def run(self, batch: Mapping[str, np.ndarray], y: Rows, threads: int) -> float:
        """One batch; its loss before the update."""
        engine, plan = self.engine, self.plan
        for name, array in batch.items():
            plan.inputs[name][...] = array
        self.forward.run(1, threads)
        engine.last_pass = None
        value: float
        value, gradient = switched(engine.usage, call_transformed, engine, plan, plan.out.copy(), y)
        if engine.last_pass is not None:
            raise RuntimeError(
                "the loss called forward(training=True) of its own model, which is in the middle of a step"
            )
        engine.last_pass = engine.plans.trained = plan
        plan.dout[...] = on_each(lambda dout: arrays.quiet_cast(dout, engine.dtype), gradient)
        self.backward.run(1, threads)
        plan.loss[0] = value
        if self.update.run(1, threads) < 1:
            raise_non_finite(engine, plan)
        return value


def call_transformed(engine: Engine, plan: OwnLossPlan, pred: Rows, y: Any) -> tuple[float, Any]:
    """The user's loss of a training batch, with what the plan's target transforms make of it: nn.MixUp mixes."""
    loss: Any = partial(call_loss, engine)
    for transform in plan.targets:
        loss = partial(transform.call, loss)
    value, gradient = loss(pred, y)
    return value, gradient


def call_loss(engine: Engine, pred: Rows, y: Any) -> tuple[float, Any]:
    """Call the user's loss and check what it returns."""
    function = engine.loss_function
    assert function is not None
    result = function(as_given(pred), as_given(y))
    name = f"loss {getattr(function, '__name__', function)!r}"
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise TypeError(f"{name} returned {type(result).__name__}, expected a pair (value, gradient)")
    value = np.asarray(result[0])
    if value.ndim or value.dtype.kind not in "fiu":
        described = f"an array of shape {value.shape}" if value.ndim else repr(result[0])
        raise TypeError(f"{name} returned {described} as its value, expected one number")
    gradient = result[1]
    if isinstance(pred, Several):
        several = pred.like(gradient)
        if several is None:
            raise ValueError(
                f"{name} returned a {type(gradient).__name__} as its gradient, expected {pred.kind()} like pred"
            )
        parts = {key: _gradient(name, several.parts[key], part.shape) for key, part in pred.parts.items()}
        return float(value), Several(parts, pred.named)
    return float(value), _gradient(name, gradient, pred.shape)


def _gradient(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    gradient = np.asarray(value)
    if gradient.dtype.kind not in "fiu":
        raise TypeError(f"{name} returned a gradient of dtype {gradient.dtype}, expected numbers")
    if gradient.shape != shape:
        raise ValueError(f"{name} returned a gradient of shape {gradient.shape}, expected {shape} like pred")
    return gradient
