"""Groups: a table sorted by a key, in which each group is a slice of the same arrays."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..data import arrays
from ..model import Model

Columns = str | list[str]


class Groups(NamedTuple):
    """Keys in ascending order, and where in the sorted arrays the rows of each are. order: the place that a row had."""

    keys: list[Any]
    slices: list[slice]
    order: np.ndarray

    def of_rows(self, name: str, array: np.ndarray) -> np.ndarray:
        """An array with a row for each row of the table, sorted."""
        if len(array) != len(self.order):
            raise ValueError(f"{name} has {len(array)} rows, expected {len(self.order)} as the keys")
        return np.ascontiguousarray(array[self.order])


class RowsOfGroups(NamedTuple):
    """X and y, sorted, as one model after the other asks for its group's."""

    X: np.ndarray
    y: np.ndarray
    slices: list[slice]

    def of(self, number: int, model: Model) -> dict[str, Any]:
        """X and y as arguments of a model's `fit`."""
        part = self.slices[number]
        return {"X": self.X[part], "y": self.y[part]}


def grouped(data: Any, by: str) -> Groups:
    """The rows of each key, in the order in which they come."""
    column = key_column(data, by)
    if column.ndim != 1 or not len(column):
        raise ValueError(
            f"data[{by!r}] has shape {column.shape}, expected a key for each of at least one row"
        )
    try:
        keys, codes = np.unique(column, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"data[{by!r}] holds keys that cannot be sorted: {error}") from None
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))
    slices = [slice(int(start), int(end)) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return Groups(keys.tolist(), slices, order)


def key_column(data: Any, by: str) -> np.ndarray:
    """The keys of all rows: numbers or strings."""
    column = arrays.read(f"data[{by!r}]", _column(data, "by", by))
    if column.dtype == object and column.size and all(isinstance(key, str) for key in column.flat):
        column = column.astype(str)
    if column.dtype.kind not in "iubfU" or (column.dtype.kind == "f" and np.isnan(column).any()):
        raise TypeError(
            f"data[{by!r}] has dtype {column.dtype}, or holds no key somewhere; expected numbers or strings"
        )
    return column


def columns_of(data: Any, argument: str, names: Columns) -> np.ndarray:
    """One column (N, ...) by its name, or several of numbers (N, columns) by a list of names."""
    if isinstance(names, str):
        found_column = arrays.as_array(f"data[{names!r}]", _column(data, argument, names))
        if not found_column.ndim:
            raise ValueError(f"data[{names!r}] is the single number {found_column}, expected (N, ...)")
        return found_column
    if not isinstance(names, list | tuple) or not names:
        raise TypeError(f"{argument} is {names!r:.80}, expected the name of a column, or a list of names")
    found = [arrays.as_array(f"data[{name!r}]", _column(data, argument, name)) for name in names]
    for name, column in zip(names, found, strict=True):
        if column.ndim != 1:
            raise ValueError(
                f"data[{name!r}] has shape {column.shape}, expected (N,) as one of several columns"
            )
    return np.column_stack(found)


def _column(data: Any, argument: str, name: Any) -> Any:
    known = [*data] if isinstance(data, Mapping) else [*getattr(data, "columns", ())]
    if not known:
        raise TypeError(
            f"data is a {type(data).__name__}, expected a pandas or polars frame, or a dict of arrays"
        )
    if name not in known:
        raise ValueError(f"{argument} is {name!r:.80}, expected one of {known}")
    return data[name]
