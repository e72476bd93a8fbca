"""What a training run looked like, epoch by epoch."""

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..checks import is_number, real

# Epochs of a table at its beginning, and at its end.
SHOWN = 5


class History:
    """History of a run: what `fit` returns.

    Attributes:
        history: a dict of lists with one value per epoch: "loss", "accuracy" where there are classes, both with "val_" in
            front for validation data, "lr", and the numbers that callbacks add to their logs; NaN where one is missing.
        epoch: the numbers of the epochs, from 0 on.

    Example:
        >>> history = model.fit(X, y, epochs=2)
        >>> history.history["loss"]
        [...]
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def expect(self, names: Iterable[str]) -> None:
        """Names that are there even if no epoch ends."""
        for name in names:
            self.history.setdefault(name, [math.nan] * len(self.epoch))

    def append(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Record one epoch."""
        self.epoch.append(epoch)
        self.on_epoch_end(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Take over the logs of the last epoch as the callbacks left them; an epoch in which a number is missing gets NaN."""
        epochs = len(self.epoch)
        for name, value in logs.items():
            if isinstance(name, str) and is_number(value):
                values = self.history.setdefault(name, [])
                if len(values) < epochs - 1:
                    values += [math.nan] * (epochs - 1 - len(values))
                values[epochs - 1 :] = [real(value)]
        for values in self.history.values():
            if len(values) < epochs:
                values.append(math.nan)

    def copy(self) -> "History":
        """Another history with the same epochs."""
        new = History()
        new.epoch = [*self.epoch]
        new.history = {name: [*values] for name, values in self.history.items()}
        return new

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Learning curves: a panel for the losses, one for each metric, and one for the learning rate where that changed.

        Args:
            path: where to write the picture as well (PNG, PDF, SVG by its ending), default nowhere.

        Returns the matplotlib figure. Raises ImportError where matplotlib is missing, ValueError without an epoch.
        """
        from ..drawing.curves import learning_curves

        return learning_curves({"": (self.epoch, self.history)}, path)

    def _repr_html_(self) -> str:
        """For notebooks: the curve of the loss, and a table of the epochs, of many the first and the last."""
        from ..drawing.html import boxed, curves, line_of, table

        names = [name for name, values in self.history.items() if len(values) == len(self.epoch)]
        rows = [
            [str(epoch), *(f"{self.history[name][place]:.4g}" for name in names)]
            for place, epoch in enumerate(self.epoch)
        ]
        if len(rows) > 2 * SHOWN:
            rows[SHOWN:-SHOWN] = [["…"] * (1 + len(names))]
        drawn = curves({name: self.history[name] for name in ("loss", "val_loss") if name in names})
        title = f"History of {len(self.epoch)} epoch{'s' * (len(self.epoch) != 1)}"
        return boxed(line_of(title), drawn, table(["epoch", *names], rows) if rows else "")

    def __repr__(self) -> str:
        last_values = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"History({len(self.epoch)} epochs{': ' + last_values if last_values else ''})"
