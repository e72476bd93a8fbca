"""Streams: one long sequence, read side by side in several places, batch after batch."""

from typing import Any

import numpy as np

from ..checks import is_whole
from . import arrays


class Streams:
    """One long sequence as `batch` streams that go on from batch to batch (truncated backpropagation through time).

    Batch k holds the steps k · steps to (k + 1) · steps of each stream. Recurrent layers start it with the state that they
    ended the last one with, and with zeros at the start of an epoch; gradients end at the batch.

    Args:
        X: (N,) integers or (N, ...) numbers along time. A rest that fills no batch is left out.
        y: (N, ...) targets along time; default None: of integers the next one, so that the network learns to go on.
        batch: the streams, default 32. steps: of each in a batch, default 64. Both at least 1.

    Shapes: the network gets (batch, steps, ...), and gives an output for each step.

    Raises:
        ValueError: too few steps for one batch; y of another length, or None for an X of numbers.

    Example:
        >>> bp.Streams(np.arange(1000) % 7, batch=4, steps=16)
        Streams of 1000 steps: 15 batches of (4, 16)
    """

    def __init__(self, X: Any, y: Any = None, *, batch: int = 32, steps: int = 64) -> None:
        self.X = arrays.as_array("X", X)
        for name, value in (("batch", batch), ("steps", steps)):
            if not is_whole(value) or value < 1:
                raise ValueError(f"Streams: {name} is {value!r}, expected an integer of at least 1")
        self.batch, self.steps = int(batch), int(steps)
        if self.X.ndim < 1:
            raise ValueError(f"Streams: X has shape {self.X.shape}, expected (N,) or (N, ...)")
        if y is None:
            if self.X.ndim != 1 or self.X.dtype.kind not in "iu":
                raise ValueError(
                    f"Streams: y is None, but X is {self.X.dtype} {self.X.shape}, expected integers (N,), or targets y (N, ...)"
                )
            self.X, self.y, self.given = self.X[:-1], self.X[1:], len(self.X)
        else:
            self.y, self.given = arrays.as_array("y", y), len(self.X)
            if len(self.y) != len(self.X):
                raise ValueError(f"Streams: y has {len(self.y)} steps, but X has {len(self.X)}")
        if not self.batches:
            raise ValueError(
                f"Streams: X has {len(self.X)} steps with a target, expected at least batch · steps = {self.batch * self.steps}"
            )

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return len(self.X) // self.batch // self.steps

    def rows(self, array: np.ndarray) -> np.ndarray:
        """An array along time as rows (batches · batch, steps, ...): those of a batch are its streams in order."""
        length = len(self.X) // self.batch
        streams = array[: self.batch * length].reshape(self.batch, length, *array.shape[1:])
        taken = streams[:, : self.batches * self.steps]
        parts = taken.reshape(self.batch, self.batches, self.steps, *array.shape[1:]).swapaxes(0, 1)
        return parts.reshape(self.batches * self.batch, self.steps, *array.shape[1:])

    def __repr__(self) -> str:
        return f"Streams of {self.given} steps: {self.batches} batches of ({self.batch}, {self.steps})"
