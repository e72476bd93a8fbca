"""Columns of categories: their values as Python objects, the labels that a frame declares, and codes by label."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

# Types of columns with categories: of pandas; of polars.
DECLARED = ("CategoricalDtype", "Enum")
CATEGORICAL = (*DECLARED, "Categorical")


def is_categorical(column: Any) -> bool:
    """Whether a column of a frame has a dtype for categories: category of pandas, Categorical or Enum of polars."""
    return _dtype(column) in CATEGORICAL


def values_of(column: Any) -> list[Any]:
    """The values of a column, None for each that is missing: None, NaN, NA, NaT."""
    if hasattr(column, "isna"):
        missing = column.isna().tolist()
        return [None if m else value for value, m in zip(column.tolist(), missing, strict=True)]
    values = column.to_list() if hasattr(column, "to_list") else np.asarray(column).tolist()
    return [None if isinstance(value, float | np.floating) and value != value else value for value in values]


def declared(column: Any) -> list[Any]:
    """The labels that the dtype of a column lists, in their order; none for other dtypes."""
    if _dtype(column) not in DECLARED:
        return []
    categories = column.dtype.categories
    labels: list[Any] = categories.to_list() if hasattr(categories, "to_list") else [*categories]
    return labels


def distinct(argument: str, values: Iterable[Any]) -> list[Any]:
    """The labels that occur, sorted, without missing ones. TypeError names the argument where they are not of one kind."""
    values = [*values]
    try:
        return sorted({*values} - {None})
    except TypeError:
        kinds = sorted({type(value).__name__ for value in values if value is not None})
        raise TypeError(
            f"{argument} holds {' and '.join(kinds)}; the argument must be of one kind, all strings or all numbers"
        ) from None


def codes(
    argument: str, labels: Sequence[Any], values: Sequence[Any], other: int, missing: int
) -> np.ndarray:
    """The place of each value among the labels, (N,) int64; `missing` for None, `other` for what is no label."""
    places = {label: place for place, label in enumerate(labels)} | {None: missing}
    try:
        return np.fromiter((places.get(value, other) for value in values), np.int64, len(values))
    except TypeError as error:
        raise TypeError(f"{argument} holds what is no category: {error}") from None


def _dtype(column: Any) -> str:
    dtype = getattr(column, "dtype", None)
    return (dtype if isinstance(dtype, type) else type(dtype)).__name__
