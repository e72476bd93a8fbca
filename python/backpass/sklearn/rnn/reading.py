"""Reading of X as sequences, which may differ in length."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.arrays import as_array, check_finite
from ...data.ragged import padded

EXPECTED = "expected sequences (N, T, F), or a list of arrays (T, F)"


@dataclass(frozen=True, eq=False)
class Sequences:
    """Rows (N, T, F); behind their lengths (N,), if they have some, stand zeros that do not count."""

    steps: np.ndarray
    lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, rows: Any) -> "Sequences":
        return Sequences(self.steps[rows], None if self.lengths is None else self.lengths[rows])

    def as_input(self, name: str) -> Any:
        """X of a bp.Model whose network calls its input by this name."""
        return self.steps if self.lengths is None else {name: self.steps, "lengths": self.lengths}


def as_sequences(X: Any) -> Sequences:
    """X as padded sequences: of one length without a copy, of several with their lengths."""
    if isinstance(X, list | tuple) and X and all(hasattr(row, "shape") for row in X):
        return _padded([as_array(f"X[{number}]", row) for number, row in enumerate(X)])
    array = as_array("X", X)
    if array.ndim == 2:
        raise ValueError(
            f"X has shape {array.shape}, {EXPECTED}: a table goes to the MLP estimators; of one feature a step give X[:, :, None]"
        )
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"X has shape {array.shape}, {EXPECTED}, of at least one row, step and feature")
    return Sequences(array)


def check_numbers_of(rows: Sequences) -> None:
    """ValueError where a sequence holds NaN or infinity."""
    if rows.steps.dtype.kind == "f":
        check_finite("X", rows.steps)


def _padded(rows: list[np.ndarray]) -> Sequences:
    for number, row in enumerate(rows):
        if row.ndim != 2 or 0 in row.shape:
            raise ValueError(
                f"X[{number}] has shape {row.shape}, expected (T, F), at least one step and feature"
            )
        if row.shape[1] != rows[0].shape[1]:
            raise ValueError(
                f"X[{number}] has {row.shape[1]} features, expected {rows[0].shape[1]} as in X[0]"
            )
    steps, lengths = padded("X", rows)
    return Sequences(steps, None if (lengths == lengths[0]).all() else lengths)
