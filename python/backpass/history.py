"""What a training run looked like, epoch by epoch."""

import math
import os
from collections.abc import Mapping
from typing import Any

from .checks import is_number, real


class History:
    """What `fit` returns. `history` is a dict of lists with one value per epoch: "loss", "lr", with validation_data "val_loss"
    (and "val_accuracy" where there are classes), and the numbers that callbacks add to their logs. `epoch` counts from 0 on."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def append(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Record one epoch."""
        self.epoch.append(epoch)
        self.on_epoch_end(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Take over the logs of the last epoch as the callbacks left them; an epoch in which a number is missing gets NaN."""
        before = len(self.epoch) - 1
        for name, value in logs.items():
            if isinstance(name, str) and is_number(value):
                values = self.history.setdefault(name, [])
                values += [math.nan] * (before - len(values))
                values[before:] = [real(value)]

    def copy(self) -> "History":
        """Another history with the same epochs."""
        new = History()
        new.epoch = [*self.epoch]
        new.history = {name: [*values] for name, values in self.history.items()}
        return new

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Learning curves, a panel for the losses and one for each metric (needs matplotlib); returns the figure.

        path: where to write the picture as well (PNG, PDF, SVG by its ending).
        """
        from .plots import learning_curves

        return learning_curves({"": self}, path)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"History({len(self.epoch)} epochs: {last})"
