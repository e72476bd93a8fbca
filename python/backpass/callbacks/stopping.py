"""Callbacks that steer a run by what it reaches: stop it, or lower its learning rate."""

import math
from typing import Any

import numpy as np

from ..checks import flag, real
from ..engine import weights
from .base import Callback, Logs, Mode, Monitor


class EarlyStopping(Monitor):
    """Early stopping: end the run after `patience` epochs without an improvement (Prechelt 1998; Keras's class).

    Each `fit` begins afresh; `fit(resume=True)` goes on where the run was, from its last weights.

    Args:
        monitor: the quantity of the epoch's logs, default "val_loss".
        patience: how many epochs in a row may bring no improvement, default 0: the first such epoch ends the run.
        min_delta: how much an improvement is at least, default 0.
        restore_best: whether the weights of the best epoch come back at the end, default True.
        mode: "min" or "max", whichever is better; "auto" (default) knows it of the usual names.

    Raises:
        ValueError: before the first step, if nobody logs the quantity, or if its direction is not known.

    Example:
        >>> model.fit(X, y, epochs=50, validation_split=0.2, callbacks=[bp.EarlyStopping(patience=3)])
        History(...)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: Mode = "auto",
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.patience = self.whole_epochs("patience", patience)
        self.restore_best = flag("EarlyStopping: restore_best", restore_best)
        self.wait = 0
        self.best_state: dict[str, np.ndarray] | None = None
        # Of the end of the run, before the best came back.
        self.last_state: dict[str, np.ndarray] | None = None

    def on_train_begin(self, logs: Logs) -> None:
        super().on_train_begin(logs)
        self.wait, self.best_state, self.last_state = 0, None, None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if not self.logged(logs):
            return
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
            self.last_state = self.model.state_dict()
            self.model.load_state_dict(self.best_state)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "wait": self.wait,
            "best_state": self.best_state,
            "last_state": self.last_state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.wait = int(state["wait"])
        best_state, last_state = (
            None if state[key] is None else weights.checked(self.model.net, state[key])
            for key in ("best_state", "last_state")
        )
        self.best_state = best_state if self.restore_best else None
        if (
            last_state is not None and best_state is not None and same(self.model.state_dict(), best_state)
        ):  # nobody else changed the weights since
            self.model.load_state_dict(last_state)


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Whether two states are equal to the bit."""
    return a.keys() == b.keys() and all(a[key].tobytes() == b[key].tobytes() for key in a)


class ReduceLROnPlateau(Monitor):
    """Plateau schedule: lr = max(factor · lr, min_lr) after `patience` epochs without an improvement (Keras's class).

    Args:
        monitor: the quantity of the epoch's logs, default "val_loss".
        factor: a number between 0 and 1, default 0.1.
        patience: how many epochs in a row may bring no improvement, default 10.
        min_delta: how much an improvement is at least, default 1e-4.
        min_lr: no learning rate below this, default 0.
        mode: "min" or "max", whichever is better; "auto" (default) knows it of the usual names.
        cooldown: epochs after each reduction that are not counted, default 0.

    Raises:
        ValueError: before the first step, if nobody logs the quantity, if its direction is not known, or if the optimizer
            has a schedule.

    Example:
        >>> model.fit(X, y, epochs=50, validation_split=0.2, callbacks=[bp.ReduceLROnPlateau(patience=3)])
        History(...)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        min_lr: float = 0.0,
        mode: Mode = "auto",
        cooldown: int = 0,
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.factor, self.min_lr, self.wait, self.cooling = real(factor), real(min_lr), 0, 0
        self.patience, self.cooldown = (
            self.whole_epochs("patience", patience),
            self.whole_epochs("cooldown", cooldown),
        )
        if not 0 < self.factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor!r}, expected a number between 0 and 1")
        if not 0 <= self.min_lr < math.inf:
            raise ValueError(
                f"ReduceLROnPlateau: min_lr is {min_lr!r}, expected a finite number of at least 0"
            )

    def on_train_begin(self, logs: Logs) -> None:
        super().on_train_begin(logs)
        self.wait, self.cooling = 0, 0
        if self.model.optimizer.schedule is not None:
            raise ValueError(
                "ReduceLROnPlateau: the optimizer has a schedule, which sets the learning rate at every step"
            )

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if not self.logged(logs):
            return
        if self.improved(logs) or self.cooling:
            self.wait, self.cooling = 0, max(self.cooling - 1, 0)
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.model.lr = max(self.model.lr * self.factor, self.min_lr)
            self.wait, self.cooling = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"wait": self.wait, "cooling": self.cooling}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.wait, self.cooling = int(state["wait"]), int(state.get("cooling", 0))


class TerminateOnNaN(Callback):
    """End of a run where the loss or a gradient is no longer finite: quietly, with the weights of the last good step.

    Without this callback `fit` raises NonFiniteError there.

    Example:
        >>> model.fit(X, y, callbacks=[bp.TerminateOnNaN()])
        History(...)
    """
