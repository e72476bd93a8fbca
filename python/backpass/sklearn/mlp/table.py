"""Tables with categories: numbers, and codes of the columns that are embedded; how X becomes one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_X_y, validate_data

from ...data import categories
from ...data.inputs import Inputs
from ...system.memory import aligned
from ..reading import explaining
from .categorical import column_at, columns_of, embedding_dims, names_of

# Attributes of an estimator that was fitted on columns of categories.
COLUMNS = ("is_categorical_", "categories_", "embeddings_")


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers (N, F), and of codes (N, C): below the number of categories, or equal to it for an unknown one."""

    numbers: np.ndarray
    codes: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.codes), self.numbers.shape[1] + self.codes.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.numbers.dtype

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> "Table":
        return Table(self.numbers[rows], self.codes[rows])

    def buffer(self, rows: int) -> "Table":
        """Room for so many rows."""
        numbers = aligned((rows, self.numbers.shape[1]), self.dtype)
        return Table(numbers, aligned((rows, self.codes.shape[1]), np.int64))

    def sources(self) -> dict[str, np.ndarray]:
        """The inputs of the network by name."""
        numbers = {"x": self.numbers} if self.numbers.shape[1] else {}
        return {**numbers, "categories": self.codes}


def inputs_of(X: Any) -> Inputs:
    """The inputs of the network: a Table's, or any other X as its only one."""
    if isinstance(X, Table):
        return Inputs(dict(X.sources()), {"x": "number", "categories": "index"})
    return Inputs({"x": X}, {"x": "number"})


def read(
    estimator: Any,
    X: Any,
    *y: Any,
    mask: np.ndarray,
    dtype: Any,
    reset: bool,
    declared: bool = False,
    **options: Any,
) -> tuple[Table, Any]:
    """scikit-learn's checks of a table; returns it with y, None where that is not given.

    reset: whether the estimator takes its categories from X; declared: those that a dtype lists among them.
    """
    X = columns_of(X)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    numbers = column_at(X, np.flatnonzero(~mask)) if not mask.all() else np.empty((X.shape[0], 0))
    numeric = {name: options.pop(name) for name in ("y_numeric", "multi_output") if name in options}
    options |= {"dtype": dtype, "ensure_min_features": 0, "estimator": estimator}
    with explaining(estimator, numbers, *y, **numeric):
        checked = (
            check_X_y(numbers, *y, **numeric, **options) if y else (check_array(numbers, **options), None)
        )
    # Not by name: two columns may have one.
    columns = [
        (name, column_at(X, place))
        for name, place in zip(names_of(X, mask), np.flatnonzero(mask), strict=True)
    ]
    if reset:
        known = [found(name, column, declared) for name, column in columns]
        dims = embedding_dims(estimator.embedding_dim, names_of(X, mask), known)
        estimator.is_categorical_, estimator.categories_ = mask, known
        estimator.embeddings_ = [
            np.zeros((len(labels), dim), checked[0].dtype) for labels, dim in zip(known, dims, strict=True)
        ]
    return Table(checked[0], coded(columns, estimator.categories_)), checked[1]


def found(name: Any, column: Any, declared: bool) -> np.ndarray:
    """The categories of a column, sorted, NaN last if values are missing. declared: those that its dtype lists as well."""
    values = categories.values_of(column)
    listed = categories.declared(column) if declared else []
    labels = categories.distinct(argument(name), [*values, *listed])
    missing = None in values
    array = np.empty(len(labels), object)
    array[:] = labels
    if all(isinstance(label, int | float) for label in labels):
        numbers = np.array(labels, None if labels else np.float64)
        # Integers stay exact, beside NaN too.
        if numbers.tolist() == labels and (numbers.dtype.kind == "f" or not missing):
            array = numbers
    return np.append(array, np.nan) if missing else array


def coded(columns: Sequence[tuple[Any, Any]], known: Sequence[np.ndarray]) -> np.ndarray:
    """The codes (N, C) of columns by their known categories."""
    of_columns = []
    for (name, column), labels in zip(columns, known, strict=True):
        plain, unknown = labels.tolist(), len(labels)
        # NaN, which is last, is what is missing.
        seen = bool(plain) and plain[-1] != plain[-1]
        values, missing = categories.values_of(column), unknown - 1 if seen else unknown
        of_columns.append(categories.codes(argument(name), plain, values, unknown, missing))
    return np.stack(of_columns, axis=1)


def argument(name: Any) -> str:
    """How a message calls a column."""
    return f"X: column {name!r}"
