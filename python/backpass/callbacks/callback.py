"""Callback: what every callback is. It hears of the moments of a run, and may keep a state that checkpoints carry on."""

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..checks import is_name, is_number, is_whole, real

if TYPE_CHECKING:
    from ..model import Model

Logs = Mapping[str, float]


class Callback:
    """Base of callbacks: override what you need. `self.model` is the model, `self.params` has epochs, steps (of an
    epoch), rows, batch_size, progress. Any object with some of these methods serves as well, and gets both attributes.

    `on_train_batch_end` brings the training loop back to Python after every batch: it costs speed.
    """

    model: "Model"
    params: dict[str, Any]

    def on_train_begin(self, logs: Logs) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Before an epoch; epochs count from 0."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """After a batch."""

    def on_slice_end(self, step: int, logs: Logs) -> None:
        """After some batches, about every 50 ms; `step` of params["steps"] of this epoch are done."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After an epoch and its validation. A number that you add to the logs, as in `logs["val_f1"] = 0.9`, is seen by the
        callbacks behind this one in the list, and is in the history."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last epoch, also after an interruption."""

    def pace(self) -> int:
        """The most steps that may pass until `on_slice_end` is called again."""
        return sys.maxsize

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback: numbers, strings, None, arrays, and lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; called after `on_train_begin` where a run goes on that had such a callback."""


GREATER = ("acc", "score", "r2", "f1", "auc", "precision", "recall")  # in the names of what should grow


class Monitor(Callback):
    """Base of the callbacks that watch one quantity.

    `best` is the best value so far.

    mode: "min" or "max", whichever is better; "auto" goes by the name: "max" for an accuracy, a score, r2, f1, auc, precision
    and recall, "min" for all else.
    """

    def __init__(self, monitor: str, min_delta: float = 0.0, mode: str = "auto") -> None:
        name = type(self).__name__
        if not is_name(mode, ("auto", "min", "max")):
            raise ValueError(f"{name}: mode is {mode!r}, expected 'auto', 'min' or 'max'")
        if not isinstance(monitor, str):
            raise TypeError(f"{name}: monitor is {monitor!r}, expected a name such as 'val_loss'")
        self.monitor = monitor
        self.min_delta = abs(real(min_delta))
        if not self.min_delta < math.inf:
            raise ValueError(f"{name}: min_delta is {min_delta!r}, expected a finite number")
        greater = any(word in monitor for word in GREATER) if mode == "auto" else mode == "max"
        self.sign = -1.0 if greater else 1.0
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

    def improved(self, logs: Logs) -> bool:
        """Whether the quantity is better than ever."""
        if self.monitor not in logs:
            raise ValueError(
                f"{type(self).__name__}: monitor is {self.monitor!r}, but there is only {sorted(logs)}"
            )
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
