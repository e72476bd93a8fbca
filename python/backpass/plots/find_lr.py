"""bp.find_lr: which learning rate to begin with, from a sweep over all of them."""

import math
import os
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from ..callbacks import Callback, Logs, TerminateOnNaN
from ..checks import real, whole
from ..drawing.sweep import rate_sweep
from ..model import Model

# A loss so many times the least, both smoothed, ends the sweep.
DIVERGED = 4.0
# Share of a mean that the loss of the next step replaces, while the sweep goes on.
NEW = 0.1
# Share of the fall of the loss that is over where the search for its steepest part begins.
BEGUN = 0.1
# Steps before the first that may end it.
FIRST = 10
# Width of the window that smooths what is drawn, as a share of all steps.
WINDOW = 0.03

# Arguments of Model.fit that a sweep hands on.
ALLOWED = (
    "batch_size", "shuffle", "sample_weight", "class_weight", "sampler", "drop_last", "lengths", "group_by_length",
)  # fmt: skip


class RateSweep:
    """What `bp.find_lr` found.

    Attributes:
        lrs, losses: the learning rate of each step and the loss of its batch, before the update; arrays.
        smoothed: the losses as a mean over neighbouring steps.
        suggestion: the rate at which the smoothed loss falls most steeply, before it is least; None where no fall is
            seen.

    Example:
        >>> sweep = bp.find_lr(model, X, y)
        >>> figure = sweep.plot()
    """

    def __init__(self, lrs: Sequence[float], losses: Sequence[float], steps: int) -> None:
        self.lrs, self.losses = np.array(lrs), np.array(losses)
        self.smoothed = smooth(self.losses, max(WINDOW * steps, 0.5))
        self.suggestion = steepest(self.lrs, self.losses, self.smoothed)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """The loss over the learning rate, and the suggestion.

        Args:
            path: where to write the picture as well (PNG, PDF, SVG by its ending), default nowhere.

        Returns the matplotlib figure. Raises ImportError where matplotlib is missing.
        """
        return rate_sweep(self.lrs, self.losses, self.smoothed, self.suggestion, path)

    def __repr__(self) -> str:
        rate = "None" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"RateSweep(suggestion={rate}, {len(self.lrs)} steps)"


def find_lr(
    model: Model,
    X: Any,
    y: Any = None,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    **fit: Any,
) -> RateSweep:
    """Sweep over learning rates: each step trains with a larger one, until the loss diverges (Smith 2017, the range test).

    Rates are low · (high/low)^(k / (steps - 1)), in place of a schedule; those of groups keep their proportions. A copy of the
    model is trained: weights, moments, counters and random numbers of the model stay as they are. A bp.GradientMonitor and other
    callbacks of yours are not needed here.

    Args:
        model: a bp.Model, best one that has not been trained.
        X, y: as in `Model.fit`; rows come shuffled.
        low, high: the first rate and the last, default 1e-6 and 10.
        steps: how many steps to take at most, default 100.
        fit: other arguments of `Model.fit` that say what a step sees, such as batch_size, sample_weight or lengths. Larger
            batches show a smaller fall.

    Returns a RateSweep: `suggestion`, `lrs`, `losses`, `smoothed`, `plot()`.

    Raises:
        TypeError, ValueError: name the argument, what was given and what was expected.

    Example:
        >>> bp.find_lr(model, X, y, batch_size=16)
        RateSweep(suggestion=...)
    """
    if not isinstance(model, Model):
        raise TypeError(f"model is {model!r:.80}, expected a bp.Model")
    for name in fit:
        if name not in ALLOWED:
            raise TypeError(f"find_lr() has no argument {name!r}; expected one of {[*ALLOWED]}")
    first, last = real(low), real(high)
    if not 0 < first < math.inf:
        raise ValueError(f"low is {low!r:.80}, expected a finite number above 0")
    if not first < last < math.inf:
        raise ValueError(f"high is {high!r:.80}, expected a finite number above low, which is {low!r}")
    count = whole("steps", steps, 2)
    copy = deepcopy(model)
    copy.metrics, copy.stop_training = [], False
    optimizer = copy.optimizer
    for member in getattr(optimizer, "groups", [optimizer]):
        if member.schedule is not None:
            member.lr = member.schedule.initial or first
    sweep = Sweep(np.geomspace(first, last, count).tolist())
    copy.lr = first
    copy.fit(X, y, epochs=count, callbacks=[sweep, TerminateOnNaN()], **fit)
    return RateSweep(sweep.lrs[: len(sweep.losses)], sweep.losses, count)


class Sweep(Callback):
    """Sets the rate of the next step, and ends the run after the last, or where the loss has diverged."""

    def __init__(self, lrs: list[float]) -> None:
        self.lrs, self.losses = lrs, list[float]()
        self._mean, self._least = 0.0, math.inf

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        loss, done = float(self.model.engine.plans.trained.loss[0]), len(self.losses) + 1
        self.losses.append(loss)
        self._mean += NEW * (loss - self._mean)
        # Without the zero that the mean began with.
        mean = self._mean / (1 - (1 - NEW) ** done)
        if done >= FIRST:
            self._least = min(self._least, mean)
        if done == len(self.lrs) or (self._least > 0 and mean > DIVERGED * self._least):
            self.model.stop_training = True
        else:
            self.model.lr = self.lrs[done]


def smooth(values: np.ndarray, width: float) -> np.ndarray:
    """A mean of neighbours that weigh as a bell of this width says; none is shifted."""
    places = np.arange(len(values))
    weights = np.exp(-0.5 * ((places[:, None] - places) / width) ** 2)
    return np.asarray(weights @ values / weights.sum(axis=1))


def steepest(lrs: np.ndarray, losses: np.ndarray, smoothed: np.ndarray) -> float | None:
    """The rate at which the smoothed loss falls most for a factor of the rate, on its way down to its least value.

    The way begins where a share of the fall is over. None where the fall is not seen among differences between batches.
    """
    end = int(smoothed.argmin()) + 1
    level = float(smoothed[: max(len(smoothed) // 5, 1)].mean())
    fall = level - float(smoothed[end - 1])
    if end < 3 or fall <= float(np.std(losses[:end] - smoothed[:end])):
        return None
    before = np.flatnonzero(smoothed[:end] > level - BEGUN * fall)
    first = int(before[-1]) if before.size else 0
    slope = np.gradient(smoothed[:end], np.log(lrs[:end]))
    return float(lrs[first + int(slope[first:].argmin())])
