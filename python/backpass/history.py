"""What a training run looked like, epoch by epoch."""

from typing import Any


class History:
    """history["loss"] is a list with one value per epoch; so are "val_loss", "lr" and the metrics."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def append(self, epoch: int, logs: dict[str, float]) -> None:
        """Record one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def copy(self) -> "History":
        """Another history with the same epochs."""
        new = History()
        new.epoch = [*self.epoch]
        new.history = {name: [*values] for name, values in self.history.items()}
        return new

    def plot(self, path: str | None = None) -> Any:
        """Learning curves, one panel for the losses and one for the metrics (needs matplotlib); returns the figure.

        path: where to write a PNG as well.
        """
        from .plots import learning_curves

        return learning_curves({"": self}, path)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"History({len(self.epoch)} epochs: {last})"
