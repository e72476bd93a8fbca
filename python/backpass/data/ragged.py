"""Rows of different lengths, given as a list of arrays: padded at their ends, and how long each is."""

from typing import Any

import numpy as np

from . import arrays

# What stands behind the end of a row of classes: losses leave it out.
NO_CLASS = -100


def is_ragged(rows: Any) -> bool:
    """Whether this is a list of arrays, not all of the same length."""
    arrays_only = isinstance(rows, list) and all(hasattr(row, "__array__") for row in rows)
    return arrays_only and len({np.shape(row)[:1] for row in rows}) > 1


def padded(name: str, rows: list[Any], filled: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """The rows (N, T, ...) up to the longest, `filled` behind their ends, and their lengths (N,)."""
    read = [arrays.as_array(f"{name}[{number}]", row) for number, row in enumerate(rows)]
    first = read[0]
    for number, row in enumerate(read):
        if row.ndim < 1 or row.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"{name}[{number}] has shape {row.shape}, but {name}[0] {first.shape}: expected rows that differ in length alone"
            )
    lengths = np.array([len(row) for row in read], np.int64)
    dtype = np.result_type(*{row.dtype for row in read})
    out = np.full((len(read), int(lengths.max()), *first.shape[1:]), filled, dtype)
    for place, row in zip(out, read, strict=True):
        place[: len(row)] = row
    return out, lengths


def padded_targets(y: Any, lengths: Any) -> Any:
    """Targets for each step, of rows of different lengths; any others as they are."""
    if lengths is None or not is_ragged(y):
        return y
    whole = all(np.asarray(row).dtype.kind in "iub" for row in y)
    out, ends = padded(
        "y", [np.asarray(row).astype(np.int64) if whole else row for row in y], NO_CLASS if whole else 0
    )
    if not np.array_equal(ends, lengths):
        row = int((ends != lengths).argmax()) if len(ends) == len(lengths) else min(len(ends), len(lengths))
        raise ValueError(f"y[{row}] is not as long as X[{row}], expected a target for each step")
    return out
