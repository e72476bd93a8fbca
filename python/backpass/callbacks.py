"""Callbacks: what happens around a training run, under Keras's names."""

import math
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .model import Model

Logs = Mapping[str, float]


class Callback:
    """Base of all callbacks: override what you need. `self.model` is the model, `self.params` has epochs, steps, progress.

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

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After an epoch and its validation."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last epoch, also after an interruption."""


class Monitor(Callback):
    """Base of the callbacks that watch one quantity: "max" is better for an accuracy, "min" for all else."""

    def __init__(self, monitor: str, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.sign = -1.0 if "acc" in monitor or monitor.endswith("r2") else 1.0
        self.best = math.inf

    def improved(self, logs: Logs) -> bool:
        """Whether the quantity is better than ever."""
        if self.monitor not in logs:
            raise ValueError(f"{type(self).__name__}: monitor is {self.monitor!r}, but there is only {sorted(logs)}")
        value = self.sign * logs[self.monitor]
        if value < self.best - self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(Monitor):
    """Stop after `patience` epochs without an improvement by more than min_delta; restore_best brings back the best weights."""

    def __init__(
        self, monitor: str = "val_loss", patience: int = 0, min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        super().__init__(monitor, min_delta)
        self.patience = patience
        self.restore_best = restore_best
        self.wait = 0
        self.best_state: dict[str, np.ndarray] | None = None

    def on_train_begin(self, logs: Logs) -> None:
        self.wait, self.best, self.best_state = 0, math.inf, None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.improved(logs):
            self.wait = 0
            if self.restore_best:
                self.best_state = self.model.state_dict()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Logs) -> None:
        if self.best_state is not None:
            self.model.load_state_dict(self.best_state)


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` after `patience` epochs without improvement, down to min_lr."""

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, min_delta: float = 1e-4, min_lr: float = 0.0
    ) -> None:
        super().__init__(monitor, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor!r}, expected a number between 0 and 1")
        self.factor, self.patience, self.min_lr, self.wait = factor, patience, min_lr, 0

    def on_train_begin(self, logs: Logs) -> None:
        if self.model.optimizer.schedule is not None:
            raise ValueError("ReduceLROnPlateau: the optimizer has a schedule, which sets the learning rate at every step")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.improved(logs):
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.model.lr = max(self.model.lr * self.factor, self.min_lr)
            self.wait = 0


class TerminateOnNaN(Callback):
    """End training quietly where the loss is no longer finite; without it, `fit` raises NonFiniteError."""


class CSVLogger(Callback):
    """Write one line per epoch to a CSV file."""

    def __init__(self, path: str, append: bool = False) -> None:
        self.path, self.append = path, append

    def on_train_begin(self, logs: Logs) -> None:
        self._names: list[str] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        first = self._names is None
        self._names = self._names or ["epoch", *logs]
        with open(self.path, "a" if self.append or not first else "w", encoding="utf-8") as file:
            if first and not (self.append and file.tell()):
                print(",".join(self._names), file=file)
            print(",".join([str(epoch), *(repr(float(logs[n])) if n in logs else "" for n in self._names[1:])]), file=file)


class ProgressBar(Callback):
    """A progress bar over all epochs (tqdm if it is installed, else a plain line per epoch)."""

    def on_train_begin(self, logs: Logs) -> None:
        self._total = self.params["epochs"] * self.params["steps"]
        self._done, self._shown = 0, {}
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self._bar: Any = None
        else:
            self._bar = tqdm(total=self._total, unit="step", leave=True)
        self._start = time.perf_counter()

    def on_slice_end(self, step: int, logs: Logs) -> None:
        self._advance(step)

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        self._before, self._done = self._done, 0

    def _advance(self, step: int) -> None:
        if self._bar is not None:
            self._bar.update(step - self._done)
        self._done = step

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        shown = {name: f"{value:.4g}" for name, value in logs.items() if name != "lr"}
        if self._bar is not None:
            self._bar.set_description(f"epoch {epoch + 1}")
            self._bar.set_postfix(shown)
        else:
            text = "  ".join(f"{name} {value}" for name, value in shown.items())
            print(f"epoch {epoch + 1}  {text}  {time.perf_counter() - self._start:.1f} s", file=sys.stderr)

    def on_train_end(self, logs: Logs) -> None:
        if self._bar is not None:
            self._bar.close()
