"""Callback: what every callback is. It hears of the moments of a run, and may keep a state that checkpoints carry on."""

import math
import re
import sys
from collections.abc import Mapping
from itertools import product
from typing import Any, ClassVar, Literal

from ..checks import is_name, is_number, is_whole, real
from ..described import Described
from ..errors import did_you_mean, warn

Logs = Mapping[str, float]
Mode = Literal["auto", "min", "max"]
# Where the callbacks of backpass are.
HOME = __name__.rpartition(".")[0] + "."
# What settings come down to.
PLAIN = (bool, int, float, str, type(None))


# Moments of other libraries that there are not.
NEVER = {
    "on_batch_end": "; did you mean 'on_train_batch_end'?",
    "on_batch_begin": ": a step is not left between its parts; on_train_batch_end comes after a batch",
    "on_train_batch_begin": ": a step is not left between its parts; on_train_batch_end comes after a batch",
    "on_validation_end": "; did you mean 'on_epoch_end'?",
    "on_test_end": "; did you mean 'on_epoch_end'?",
}


class Callback(Described):
    """Base of callbacks: override what you need. Any object with some of these methods serves as well.

    `on_train_batch_end` brings the training loop back to Python after every batch: it costs speed.

    Attributes:
        model: the bp.Model that is trained.
        params: "epochs", "steps" (of an epoch), "rows", "batch_size", "progress", and "metrics", the names in the logs.
        runs_last: whether it has to hear of everything after the others, because it saves what they change.
        first_rank_only: whether it writes or shows something: of `fit(comm=...)` only rank 0 has it.

    Example:
        >>> class Print(bp.Callback):
        ...     def on_epoch_end(self, epoch, logs): print(epoch, logs["loss"])
    """

    model: Any
    runs_last: ClassVar[bool] = False
    first_rank_only: ClassVar[bool] = False
    params: dict[str, Any]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        hooks = [name for name in vars(Callback) if name.startswith("on_")]
        for name in vars(cls):
            if name.startswith("on_") and name not in hooks:
                ending = NEVER.get(name) or did_you_mean(name, hooks) or f"; expected one of {hooks}"
                warn(f"{cls.__name__}.{name} is never called{ending}")

    def __setattr__(self, name: str, value: Any) -> None:
        """A changed setting of a callback of backpass goes through the constructor; what the run has reached stays."""
        attributes = self.__dict__
        if not attributes.get("_built") or name.startswith("_") or not type(self).__module__.startswith(HOME):
            super().__setattr__(name, value)
        elif name in attributes["settings"]:
            settings = attributes["settings"] | {name: value}
            old_attributes, new_attributes = (
                vars(type(self).from_settings(s)) for s in (attributes["settings"], settings)
            )
            attributes.update(
                {
                    k: v
                    for k, v in new_attributes.items()
                    if isinstance(v, PLAIN) and v != old_attributes.get(k)
                }
            )
            attributes["settings"] = settings
        elif name in attributes or hasattr(type(self), name) or name in Callback.__annotations__:
            super().__setattr__(name, value)
        else:
            near = did_you_mean(name, [attribute for attribute in dir(self) if not attribute.startswith("_")])
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{near}")

    def on_train_begin(self, logs: Logs) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Before an epoch; epochs count from 0."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """After a batch."""

    def on_slice_end(self, step: int, logs: Logs) -> None:
        """After some batches, about every 50 ms; `step` of params["steps"] of this epoch are done."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After an epoch and its validation.

        A number that you add to the logs, as in `logs["val_f1"] = 0.9`, is seen by the callbacks behind this one in the list,
        and is in the history.
        """

    def on_train_end(self, logs: Logs) -> None:
        """After the last epoch, also after an interruption."""

    def pace(self) -> int:
        """The most steps that may pass until `on_slice_end` is called again."""
        return sys.maxsize

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback: numbers, strings, None, arrays, and lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; called after `on_train_begin` where a run is resumed that had such a callback."""


AVERAGES = ("", "_micro", "_macro", "_weighted", "_samples", "_ovr", "_ovo", "_ovr_weighted", "_ovo_weighted")
# What is better, less or more, of the quantities that people monitor: a name without "val_", and what counts.
BETTER: dict[str, str] = (
    dict.fromkeys(
        (
            *(
                "loss",
                "log_loss",
                "nll",
                "hinge_loss",
                "zero_one_loss",
                "hamming_loss",
                "brier_score",
                "perplexity",
                "error",
            ),
            *("mse", "mae", "rmse", "mape", "msle", "rmsle", "max_error", "negative_likelihood_ratio"),
            *(
                "mean_squared_error",
                "mean_absolute_error",
                "root_mean_squared_error",
                "median_absolute_error",
            ),
            *("mean_squared_log_error", "root_mean_squared_log_error", "mean_absolute_percentage_error"),
            *("mean_poisson_deviance", "mean_gamma_deviance", "mean_pinball_loss"),
        ),
        "min",
    )
    | dict.fromkeys(
        (
            *("accuracy", "acc", "balanced_accuracy", "top_k_accuracy", "score", "auc", "r2", "r2_score"),
            *("explained_variance", "d2_absolute_error_score", "d2_log_loss_score", "d2_brier_score"),
            *(
                "matthews_corrcoef",
                "cohen_kappa_score",
                "positive_likelihood_ratio",
                "rand_score",
                "adjusted_rand_score",
            ),
            *(
                "mutual_info_score",
                "adjusted_mutual_info_score",
                "normalized_mutual_info_score",
                "v_measure_score",
            ),
            *(
                "homogeneity_score",
                "completeness_score",
                "fowlkes_mallows_score",
                "accuracy_score",
                "roc_auc_score",
            ),
            *(
                "f1_score",
                "precision_score",
                "recall_score",
                "average_precision_score",
                "balanced_accuracy_score",
            ),
        ),
        "max",
    )
    | {
        f"{name}{average}": "max"
        for name, average in product(
            ("f1", "precision", "recall", "jaccard", "roc_auc", "average_precision"), AVERAGES
        )
    }
)
SPLIT = re.compile(r"val_(\d+_)?")
TOP = re.compile(r"top_\d+")


def better_of(name: str) -> str | None:
    """What is better of a quantity, "min" or "max"; None where its name does not say."""
    plain = SPLIT.sub("", name, count=1)
    return "max" if TOP.fullmatch(plain) else BETTER.get(plain)


class Monitor(Callback):
    """Base of the callbacks that watch one quantity. `best` is its best value so far in this run.

    mode: "min" or "max", whichever is better; "auto" knows it of the usual names and of scikit-learn's scorers, and asks for
    "min" or "max" for all others, before the first step.
    """

    def __init__(self, monitor: str, min_delta: float = 0.0, mode: Mode = "auto") -> None:
        name = type(self).__name__
        if not is_name(mode, ("auto", "min", "max")):
            raise ValueError(f"{name}: mode is {mode!r}, expected 'auto', 'min' or 'max'")
        if not isinstance(monitor, str):
            raise TypeError(f"{name}: monitor is {monitor!r}, expected a name such as 'val_loss'")
        self.monitor, self.mode = monitor, mode
        self.min_delta = abs(real(min_delta))
        if not self.min_delta < math.inf:
            raise ValueError(f"{name}: min_delta is {min_delta!r}, expected a finite number")
        self._judge_by((better_of(monitor) or "min") if mode == "auto" else mode)

    def on_train_begin(self, logs: Logs) -> None:
        """Find out what is better; ValueError where that is not known, or where nobody logs the quantity."""
        if not self.monitor:
            return
        name, metrics = type(self).__name__, self.params.get("metrics", ())
        better = self.mode if self.mode != "auto" else self.params.get("better", {}).get(self.monitor)
        better = better or better_of(self.monitor)
        if metrics and self.monitor not in metrics and not self.params.get("others"):
            needs = (
                "; it needs validation_data or validation_split"
                if self.monitor.startswith("val_") and "val_loss" not in metrics
                else ""
            )
            near = did_you_mean(self.monitor, metrics) if not needs else ""
            raise ValueError(
                f"{name}: monitor is {self.monitor!r}, but an epoch logs only {[*metrics]}{needs}{near}"
            )
        if better is None:
            raise ValueError(
                f"{name}: monitor is {self.monitor!r}, of which less or more may be better; give mode='min' or mode='max'"
            )
        self._judge_by(better)

    def _judge_by(self, better: str) -> None:
        """Begin afresh; better: "min" or "max"."""
        self._told = False
        self.sign = -1.0 if better == "max" else 1.0
        self.best = self.worst

    @property
    def worst(self) -> float:
        """What any value improves."""
        return self.sign * math.inf

    def whole_epochs(self, name: str, value: Any) -> int:
        """Check a number of epochs."""
        if not is_whole(value) or value < 0:
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}, expected an integer of at least 0")
        return int(value)

    def logged(self, logs: Logs) -> bool:
        """Whether the epoch logged the quantity; the first epoch without it is told."""
        if self.monitor in logs:
            return True
        if not self._told:
            self._told = True
            warn(
                f"{type(self).__name__}: monitor is {self.monitor!r}, but an epoch logged only {sorted(logs)}; epochs without"
                " it are passed over",
                RuntimeWarning,
            )
        return False

    def improved(self, logs: Logs) -> bool:
        """Whether the quantity is better than ever in this run."""
        value = logs[self.monitor]
        if not is_number(value):
            raise TypeError(
                f"{type(self).__name__}: monitor is {self.monitor!r}, but its value is {value!r:.80}, expected a number"
            )
        if self.sign * real(value) < self.sign * self.best - self.min_delta:
            self.best = real(value)
            return True
        return False

    def state_dict(self) -> dict[str, Any]:
        return {"monitor": self.monitor, "best": self.sign * self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["monitor"] != self.monitor:
            raise ValueError(
                f"{type(self).__name__}: monitor is {self.monitor!r}, but in the run that goes on it was {state['monitor']!r}"
            )
        self.best = self.sign * float(state["best"])
