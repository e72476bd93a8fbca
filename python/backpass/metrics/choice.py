"""Metrics by name, or functions of the user's; and which of them a loss has targets for."""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..checks import is_number, real
from ..errors import did_you_mean
from ..losses import Loss, TracedLoss
from ..losses.base import ClassLoss
from . import classes, numbers
from .pairs import as_classes, as_given, as_numbers

TOP = re.compile(r"top_([1-9]\d*)")
OF_NUMBERS: dict[str, tuple[Callable[..., float], str]] = {
    "mae": (numbers.mae, "min"),
    "mse": (numbers.mse, "min"),
    "rmse": (numbers.rmse, "min"),
    "r2": (numbers.r2, "max"),
}
OF_CLASSES: dict[str, Callable[..., float]] = {
    f"{name}{average}": classes.mean_of(share, bool(average))
    for name, share in {"precision": classes.precision, "recall": classes.recall, "f1": classes.f1}.items()
    for average in ("", "_macro")
} | {"auc": classes.auc}
# Always there where the targets are classes.
ACCURACY = "accuracy"
NAMES = (ACCURACY, *OF_NUMBERS, *OF_CLASSES, "top_5")
# What other libraries call them.
ELSEWHERE = {
    "acc": "accuracy", "mean_absolute_error": "mae", "mean_squared_error": "mse", "root_mean_squared_error": "rmse",
    "roc_auc": "auc", "r2_score": "r2", "f1_score": "f1", "top_k_categorical_accuracy": "top_5",
}  # fmt: skip


class Metric(NamedTuple):
    """A metric of one output. better: "min", "max", or "" where that is not known; least: outputs that it needs."""

    name: str
    compute: Callable[[Loss | None, Any, Any, np.ndarray | None, bool], float]
    better: str
    # Whether the function takes the weights of the rows.
    weighs: bool = True
    least: int = 0
    # Whether it compares numbers with numbers, so that both have one shape.
    compares: bool = False
    # Whether it takes each output by itself, so that these have to be told from places and steps.
    apart: bool = False
    # Whether it is a function of the user's.
    own: bool = False


def chosen(argument: str, given: Any, loss: Loss | None) -> Metric | None:
    """The metric that one entry of `metrics` asks for; None for the accuracy, which the loss has by itself."""
    name, function = given if isinstance(given, tuple) and len(given) == 2 else (None, given)
    if callable(function) and not isinstance(function, type):
        return _own(argument, name, function)
    if not isinstance(given, str):
        raise TypeError(
            f"{argument} is {given!r:.80}, expected a name such as 'mae', a function (y, pred) or a pair (name, function)"
        )
    if match := TOP.fullmatch(given):
        if not isinstance(loss, ClassLoss):
            raise _unfit(argument, given, loss, "class indices")
        compute = classes.top(int(match[1]))
        return Metric(
            given, lambda *seen: _unless_nan(compute, as_classes(*seen)), "max", least=int(match[1])
        )
    if given in OF_NUMBERS:
        if loss is not None and not loss.in_units_of_y and not isinstance(loss, TracedLoss):
            raise _unfit(argument, given, loss, "numbers like the network's output")
        function, better = OF_NUMBERS[given]
        return Metric(
            given, lambda _, *seen: function(as_numbers(*seen)), better, compares=True, apart=given == "r2"
        )
    if given in OF_CLASSES or given == ACCURACY:
        if loss is None or not loss.metric:
            raise _unfit(argument, given, loss, "classes")
        if given == ACCURACY:
            return None
        apart = not isinstance(loss, ClassLoss)
        return Metric(given, lambda *seen: _of_classes(OF_CLASSES[given], *seen), "max", apart=apart)
    known = ELSEWHERE.get(given)
    near = f"; here it is {known!r}" if known else did_you_mean(given, NAMES)
    raise ValueError(
        f"{argument} is {given!r:.80}, expected one of {[*NAMES]}, or a function (y, pred){near}"
    )


def _unfit(argument: str, name: str, loss: Loss | None, targets: str) -> ValueError:
    had = "a callable" if loss is None else repr(loss)
    return ValueError(
        f"{argument} is {name!r}, which needs targets that are {targets}, but the loss is {had:.80}; expected another metric,"
        " or a function (y, pred)"
    )


def _of_classes(
    compute: Callable[..., float],
    loss: Loss | None,
    pred: Any,
    target: Any,
    weight: np.ndarray | None,
    padded: bool,
) -> float:
    if isinstance(loss, ClassLoss):
        outcomes = classes.outcomes_of_classes(
            as_classes(loss, pred, target, weight, padded), loss.wants == "log probabilities"
        )
    else:
        outcomes = classes.outcomes_of_logits(as_numbers(pred, target, weight, padded))
    return float("nan") if np.isnan(outcomes.scores).any() else compute(outcomes)


def _unless_nan(compute: Callable[..., float], pairs: Any) -> float:
    """NaN among the predictions is no order."""
    return float("nan") if np.isnan(pairs.pred).any() else compute(pairs)


def _own(argument: str, name: Any, function: Callable[..., Any]) -> Metric:
    """A function of the user's: (y, pred) -> number; with an argument `sample_weight` it gets the weights of the rows."""
    name = getattr(function, "__name__", None) if name is None else name
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(
            f"{argument} is {function!r:.80}, which has no name for the history, expected a pair (name, function)"
        )
    try:
        weighs = "sample_weight" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C
        weighs = False

    def compute(loss: Loss | None, pred: Any, target: Any, weight: np.ndarray | None, padded: bool) -> float:
        pairs = as_given(loss, pred, target, weight, padded)
        named = {"sample_weight": pairs.weight} if pairs.weight is not None else {}
        value = function(pairs.target, pairs.pred, **named)
        value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
        if not is_number(value):
            raise TypeError(f"metric {name!r} returned {value!r:.80}, expected one number")
        return real(value)

    return Metric(name, compute, "", weighs, own=True)
