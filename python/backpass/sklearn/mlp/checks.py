"""Checks of the MLP estimators' parameters beyond scikit-learn's: numbers, and parameters that do not go together."""

from typing import Any

from ...callbacks import EarlyStopping, Monitor, ReduceLROnPlateau
from ...callbacks.dispatch import checked_callbacks, is_ours
from ...checks import is_whole
from ...errors import did_you_mean
from ...optim.schedules import Schedule
from .solver import STOCHASTIC

# Parameters without effect in lbfgs, which takes all rows at once.
ONLY_STEPS = ("dropout", "batch_norm", "callbacks", "weight_decay", "clip_grad_norm", "lr_schedule")


def check_together(estimator: Any) -> None:
    """Refuse parameters of ours that another parameter leaves without effect."""
    if estimator.solver not in STOCHASTIC:
        for name in ONLY_STEPS:
            if value := getattr(estimator, name):
                raise ValueError(
                    f"{name} is {value!r:.80}, but solver='lbfgs' has no steps; choose one of {STOCHASTIC}"
                )
    elif (
        estimator.solver == "sgd"
        and estimator.learning_rate != "constant"
        and estimator.lr_schedule is not None
    ):
        raise ValueError(
            f"lr_schedule is {estimator.lr_schedule!r:.80}, but learning_rate is {estimator.learning_rate!r}: expected"
            " learning_rate='constant' where a schedule sets the rate"
        )


def check_callbacks(estimator: Any, incremental: bool) -> None:
    """Refuse objects that are no callbacks, and callbacks that could not act. incremental: in partial_fit."""
    callable_rate = callable(estimator.lr_schedule) and not isinstance(estimator.lr_schedule, Schedule)
    inverse = estimator.solver == "sgd" and estimator.learning_rate == "invscaling"
    for number, callback in enumerate(checked_callbacks(estimator.callbacks or ())):
        name = type(callback).__name__
        if incremental and isinstance(callback, Monitor) and callback.monitor:
            raise ValueError(
                f"callbacks[{number}] is {name}, which compares epochs, but each call of partial_fit is a run of one epoch:"
                " expected fit"
            )
        if isinstance(callback, ReduceLROnPlateau) and (callable_rate or inverse):
            setter = "lr_schedule, a callable," if callable_rate else "learning_rate='invscaling'"
            raise ValueError(
                f"callbacks[{number}] is {name}, but {setter} sets the learning rate of each epoch"
            )


def check_monitors(estimator: Any, logged: list[str]) -> None:
    """Refuse a monitor that no epoch logs, and two that would each keep its best weights. logged: the names in the logs."""
    callbacks, score = estimator.callbacks or (), f"val_{estimator._score_name}"
    for number, callback in enumerate(callbacks):
        monitor = callback.monitor if isinstance(callback, Monitor) else ""
        # Callbacks of the user's may log what the estimator does not.
        if monitor and monitor not in logged and all(map(is_ours, callbacks)):
            hint = _monitor_hint(monitor, logged, score)
            raise ValueError(
                f"{type(callback).__name__}: monitor is {monitor!r}, but an epoch logs only {logged}{hint}"
            )
        restores = isinstance(callback, EarlyStopping) and callback.restore_best
        if estimator.early_stopping and restores and monitor != score:
            raise ValueError(
                f"callbacks[{number}] is {callback!r}, which brings back the best weights by {monitor!r}, but early_stopping=True"
                f" keeps those by {score!r}: expected restore_best=False, or early_stopping=False"
            )


def _monitor_hint(monitor: str, logged: list[str], score: str) -> str:
    if monitor.startswith("val_") and not any(name.startswith("val_") for name in logged):
        return f"; fit(eval_set=...) logs 'val_' and the eval_metric, such as {score!r}, as does early_stopping=True"
    if monitor == "val_loss":
        return "; eval_metric='neg_log_loss' or 'neg_mean_squared_error' logs a loss, under its name behind 'val_'"
    return did_you_mean(monitor, logged)


def hidden_sizes(sizes: Any) -> list[int]:
    """List of the hidden layers' sizes; ValueError names hidden_layer_sizes."""
    try:
        hidden = [*sizes]
    except TypeError:
        hidden = [sizes]
    if not all(is_whole(size) and size < 2**31 for size in hidden):
        raise ValueError(f"hidden_layer_sizes is {sizes!r:.80}, expected integers from 1 to {2**31 - 1}")
    if any(size <= 0 for size in hidden):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")  # scikit-learn's words
    return [int(size) for size in hidden]
