"""bp.gradcheck: the gradients of backpropagation against brute-force finite differences, with what both cost."""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from . import data
from .checks import is_whole, real
from .custom import call_mixed
from .errors import NonFiniteError
from .evaluation import checked_data
from .model import Model

ROUNDING = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class GradCheck:
    """What `gradcheck` found. worst_relative_error is about 1e-7 or less where backpropagation is right."""

    worst_relative_error: float
    parameter: str  # where the worst error is, as in "0.weight[3, 5]"
    backprop_seconds: float  # one forward and backward pass gives all gradients
    brute_force_seconds: float  # two or more forward passes for each parameter that was checked
    checked: int

    def __str__(self) -> str:
        each = self.brute_force_seconds / max(self.checked, 1)
        return (
            f"worst relative error {self.worst_relative_error:.1e} at {self.parameter or 'no parameter'}; backprop"
            f" {self.backprop_seconds * 1e3:.3g} ms for all gradients, brute force {self.brute_force_seconds * 1e3:.4g} ms for"
            f" {self.checked:,} of them ({each * 1e3:.3g} ms each)"
        )


def gradcheck(
    model: Model, X: Any, y: Any, *, epsilon: float = 1e-6, max_parameters: int | None = None
) -> GradCheck:
    """Compare the gradients of backpropagation with central differences (L(p + epsilon) - L(p - epsilon)) / (2 epsilon).

    Works on a float64 copy with the same weights, loss, backend and dropout masks, in training mode; `model` is not changed.

    Args:
        model: any model; one with a callable loss, too.
        X, y: one batch; a few rows suffice.
        epsilon: the step of the differences.
        max_parameters: how many numbers to check, drawn at random (always the same ones); default all: two passes for each.

    The relative error of a gradient a and its difference quotient n is |a - n| / max(|a| + |n|, floor). The quotient carries
    the rounding error of two losses, some ROUNDING · |L| / epsilon, about 1e-10 |L|. The floor is 1e6 times as much, so that
    rounding alone stays near 1e-6 in a gradient however small, and a wrong one shows as long as it is off by more than 1e-9.
    Where the two disagree, a kink (of a ReLU, say) may lie within epsilon: then a tenth of the step is tried, and the
    smaller error counts; a wrong gradient disagrees at any step.
    """
    if not 1e-12 <= real(epsilon) <= 1e-2:
        raise ValueError(f"epsilon is {epsilon!r}, expected a number from 1e-12 to 0.01")
    if max_parameters is not None and (not is_whole(max_parameters) or max_parameters < 1):
        raise ValueError(f"max_parameters is {max_parameters!r}, expected None or an integer of at least 1")
    copy = _float64_copy(model)
    loss, backprop = _passes(copy, *checked_data(copy, X, y, None, take=data.features)[:2])
    value = backprop()
    if not np.isfinite(value):
        raise NonFiniteError(
            f"gradcheck: the loss is {value}, so there is nothing to compare", int(copy.step_count[0]), ""
        )
    start = time.perf_counter()
    backprop()
    backprop_seconds = time.perf_counter() - start
    gradients = [gradient.copy() for gradient in copy.gradients()]

    def error(array: np.ndarray, where: tuple[int, ...], gradient: float, step: float) -> float:
        before = array[where]
        array[where] = before + step
        above, high = loss(), array[where]
        array[where] = before - step
        below, low = loss(), array[where]
        array[where] = before
        quotient = (above - below) / (high - low)  # the step that float64 really took
        floor = max(1e6 * ROUNDING * max(abs(above), abs(below)) / step, np.finfo(np.float64).tiny)
        return float(abs(gradient - quotient) / max(abs(gradient) + abs(quotient), floor))

    worst, place, places = -1.0, "", _places(copy, max_parameters)
    names = copy.named_parameters()
    start = time.perf_counter()
    for number, where in places:
        name, array = names[number]
        gradient = float(gradients[number][where])
        found = error(array, where, gradient, epsilon)
        if not found <= 1e-6:  # also where it is NaN
            found = np.fmin(found, error(array, where, gradient, epsilon / 10))
        if not found <= worst:
            worst, place = float(found), f"{name}[{', '.join(map(str, where))}]"
    return GradCheck(max(worst, 0.0), place, backprop_seconds, time.perf_counter() - start, len(places))


def _float64_copy(model: Model) -> Model:
    """The same network, weights, loss and random masks in float64; it shares nothing that a pass writes to."""
    loss = model.callable_loss or model.loss
    copy = Model(
        deepcopy(model.net),
        loss,
        model.optimizer,
        threads=model.threads or None,
        dtype="float64",
        seed=model.seed,
    )
    copy.backend = model.backend
    copy.load_state_dict(model.state_dict())
    copy.step_count[:] = model.step_count
    return copy


def _passes(model: Model, X: np.ndarray, y: np.ndarray) -> tuple[Callable[[], float], Callable[[], float]]:
    """Two functions that return the loss of (X, y) in training mode; the second fills the model's gradients as well."""
    if model.callable_loss:

        def loss() -> float:
            return call_mixed(model, model.forward(X, training=True), y, model.mixing)[0]

        def backprop() -> float:
            value, gradient = call_mixed(model, model.forward(X, training=True), y, model.mixing)
            model.backward(gradient)
            return value

        return loss, backprop
    plan = model.training_plan(X.shape, (y.shape[1:], y.dtype), weighted=False)
    assert plan.target is not None
    plan.x[...], plan.target[...] = X, y
    forward = model.backend.compile([*plan.forward, *plan.loss_part])
    both = model.backend.compile([*plan.forward, *plan.loss_part, *plan.backward])

    def run(executor: Any) -> float:
        executor.run(1, model.threads)
        return float(plan.loss[0])

    return lambda: run(forward), lambda: run(both)


def _places(model: Model, limit: int | None) -> list[tuple[int, tuple[int, ...]]]:
    """Which numbers to check: the number of the parameter and the index in it."""
    shapes = [array.shape for array in model.parameters()]
    sizes = [prod(shape) for shape in shapes]
    flat: Any = np.arange(sum(sizes))
    if limit is not None and limit < len(flat):
        flat = np.sort(np.random.default_rng(0).choice(flat, limit, replace=False))
    ends = np.cumsum(sizes)
    places = []
    for place in flat:
        number = int(np.searchsorted(ends, place, side="right"))
        inner = int(place - ends[number] + sizes[number])
        places.append((number, tuple(int(i) for i in np.unravel_index(inner, shapes[number]))))
    return places
