"""Arrays as text: every number of a small one in a table, of a large one its shape, mean, range and norm."""

from typing import NamedTuple

import numpy as np

# Numbers of an array that text shows, and that a page holds.
FEW = 64
PAGE = 512


class Summary(NamedTuple):
    """What is said of an array in the place of its numbers."""

    shape: tuple[int, ...]
    mean: float
    low: float
    high: float
    norm: float

    @classmethod
    def of(cls, array: np.ndarray) -> "Summary":
        """The summary of an array; NaN where it is empty."""
        if not array.size:
            return cls(array.shape, *[float("nan")] * 4)
        flat = array.ravel()
        # Of squares, float32 overflows early.
        norm = float(np.sqrt(np.einsum("i,i->", flat, flat, dtype=np.float64)))
        return cls(
            array.shape, float(flat.mean(dtype=np.float64)), float(flat.min()), float(flat.max()), norm
        )

    def __str__(self) -> str:
        values = zip(("mean", "min", "max", "norm"), self[1:], strict=True)
        return f"{shape_text(self.shape)}: " + ", ".join(f"{name} {value:.4g}" for name, value in values)


def shape_text(shape: tuple[int, ...]) -> str:
    """3 × 4."""
    return " × ".join(map(str, shape)) or "1"


def number_text(value: float) -> str:
    """Six digits."""
    return f"{value:.6g}"


def table(array: np.ndarray) -> list[str]:
    """The numbers, one line for each row of the last dimension."""
    rows = np.atleast_1d(array)
    rows = rows.reshape(-1, rows.shape[-1]) if rows.size else rows.reshape(0, 1)
    cells = [[number_text(value) for value in row] for row in rows.tolist()]
    width = max((len(cell) for row in cells for cell in row), default=0)
    return ["  ".join(cell.rjust(width) for cell in row) for row in cells]
