"""bp.gradcheck: the gradients of backpropagation against brute-force finite differences, with what both cost."""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..checks import is_whole, real
from ..data import arrays
from ..data.inputs import Inputs, with_targets
from ..data.known_categories import KnownCategories
from ..data.targets import target_of
from ..engine import passes, weights
from ..engine.engine import Engine, HasEngine
from ..engine.inputs import checked_data
from ..engine.own_loss import call_transformed
from ..engine.step import loss_and_gradients
from ..errors import NonFiniteError
from ..program import Rows, as_given

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
    model: HasEngine,
    X: Any,
    y: Any,
    *,
    epsilon: float = 1e-6,
    max_parameters: int | None = None,
    lengths: Any = None,
) -> GradCheck:
    """Gradient check: backpropagation against central differences (L(p + epsilon) - L(p - epsilon)) / (2 epsilon).

    Works on a float64 copy with the same weights, loss, backend and dropout masks, in training mode; `model` is not changed.

    The relative error of a gradient a and its difference quotient n is |a - n| / max(|a| + |n|, floor). The quotient carries
    the rounding error of two losses, some ROUNDING · |L| / epsilon, about 1e-10 |L|. The floor is 1e6 times as much, so that
    rounding alone stays near 1e-6 in a gradient however small, and a wrong one shows as long as it is off by more than 1e-9.
    Where the two disagree, a kink (of a ReLU, say) may lie within epsilon: then a tenth of the step is tried, and the
    smaller error counts; a wrong gradient disagrees at any step.

    Args:
        model: any bp.Model; one with a callable loss, too.
        X: (N, ...) one batch; a few rows suffice.
        y: its targets, as in `fit`.
        epsilon: the step of the differences, from 1e-12 to 0.01, default 1e-6.
        max_parameters: how many numbers to check, drawn at random (always the same ones); default all: two passes for each.
        lengths: (N,) how many steps of each row count, as in `fit`; default None.

    Returns a GradCheck, whose worst_relative_error is about 1e-7 or less where backpropagation is right.

    Raises:
        ValueError, TypeError: an argument that does not fit. NonFiniteError: the loss is not finite.

    Example:
        >>> bp.gradcheck(model, X[:8], y[:8]).worst_relative_error < 1e-6
        True
    """
    if not 1e-12 <= real(epsilon) <= 1e-2:
        raise ValueError(f"epsilon is {epsilon!r}, expected a number from 1e-12 to 0.01")
    if max_parameters is not None and (not is_whole(max_parameters) or max_parameters < 1):
        raise ValueError(f"max_parameters is {max_parameters!r}, expected None or an integer of at least 1")
    copy = _float64_copy(model.engine)
    X, y = with_targets(X, y, lengths, copy.net)
    loss, backprop = _passes(copy, *checked_data(copy, X, y, None, take=arrays.features)[:2])
    value = backprop()
    if not np.isfinite(value):
        raise NonFiniteError(
            f"gradcheck: the loss is {value}, so there is nothing to compare", int(copy.step_count[0]), ""
        )
    start = time.perf_counter()
    backprop()
    backprop_seconds = time.perf_counter() - start
    gradients = [layer.view(key, gradient=True).copy() for _, layer, key in weights.learned(copy.net)]

    def error(array: np.ndarray, index: tuple[int, ...], gradient: float, step: float) -> float:
        original = array[index]
        array[index] = original + step
        above, high = loss(), array[index]
        array[index] = original - step
        below, low = loss(), array[index]
        array[index] = original
        quotient = (above - below) / (high - low)  # the step that float64 really took
        floor = max(1e6 * ROUNDING * max(abs(above), abs(below)) / step, np.finfo(np.float64).tiny)
        return float(abs(gradient - quotient) / max(abs(gradient) + abs(quotient), floor))

    worst, place, places = -1.0, "", _places(copy, max_parameters)
    names = [(name, layer.view(key)) for name, layer, key in weights.learned(copy.net)]
    start = time.perf_counter()
    for number, index in places:
        name, array = names[number]
        gradient = float(gradients[number][index])
        relative_error = error(array, index, gradient, epsilon)
        if not relative_error <= 1e-6:  # also where it is NaN
            relative_error = np.fmin(relative_error, error(array, index, gradient, epsilon / 10))
        if not relative_error <= worst:
            worst, place = float(relative_error), f"{name}[{', '.join(map(str, index))}]"
    return GradCheck(max(worst, 0.0), place, backprop_seconds, time.perf_counter() - start, len(places))


def _float64_copy(engine: Engine) -> Engine:
    """The same network, weights, loss and random masks in float64; it shares nothing that a pass writes to."""
    copy = Engine(
        deepcopy(engine.net),
        engine.loss_function or engine.loss,
        engine.optimizer,
        backend="auto",
        threads=engine.threads or None,
        dtype="float64",
        seed=engine.seed,
    )
    copy.use_backend(engine.backend)
    weights.load(copy.net, weights.state_dict(engine.net))
    copy.step_counts[:] = engine.step_counts
    copy.categories = KnownCategories(engine.categories.labels)
    copy.categories.open = True
    return copy


def _passes(engine: Engine, inputs: Inputs, y: Rows) -> tuple[Callable[[], float], Callable[[], float]]:
    """Two functions that return the loss of a batch in training mode; the second fills the gradients as well."""
    batch = inputs.batch(slice(None))
    if engine.loss_function:

        def value_and_gradient() -> tuple[float, Rows]:
            passes.forward(engine, batch if len(batch) > 1 else next(iter(batch.values())))
            assert engine.last_pass is not None
            return call_transformed(engine, engine.last_pass, engine.last_pass.out.copy(), y)

        def backprop() -> float:
            value, gradient = value_and_gradient()
            passes.backward(engine, as_given(gradient))
            return value

        return lambda: value_and_gradient()[0], backprop
    specs = inputs.specs(inputs.rows, engine.dtype)
    plan = engine.plans.training(specs, target_of(y))
    for name, array in batch.items():
        plan.inputs[name][...] = array
    plan.target[...] = y
    forward = engine.backend.compile([*plan.forward, *plan.loss_part])
    both = engine.backend.compile(loss_and_gradients(plan))

    def run(executor: Any) -> float:
        executor.run(1, engine.threads)
        return float(plan.loss[0])

    def run_both() -> float:
        value = run(both)
        for table in plan.tables:
            table.fill()
        return value

    return lambda: run(forward), run_both


def _places(engine: Engine, limit: int | None) -> list[tuple[int, tuple[int, ...]]]:
    """Which numbers to check: the number of the parameter and the index in it."""
    shapes = [layer.view(key).shape for _, layer, key in weights.learned(engine.net)]
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
