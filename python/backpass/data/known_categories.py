"""What a model has learned of the columns of categories in its inputs: the labels, by whose places its tables are read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import arrays, categories

# Of each column of an input its labels, None for a column of integers.
Labels = list[list[Any] | None]


class KnownCategories:
    """Labels by input. The first frame that comes while `open` brings them; from then on a column is read by its labels.

    Args:
        labels: of the columns of each input. columns: their names, of inputs that were frames.
    """

    def __init__(
        self, labels: Mapping[str, Labels] | None = None, columns: Mapping[str, list[str]] | None = None
    ) -> None:
        self.labels, self.columns = dict(labels or {}), dict(columns or {})
        self.open = False

    def begin(self) -> None:
        """Forget all: a network is about to be trained for the first time."""
        self.labels.clear()
        self.columns.clear()
        self.open = True

    def ids(self, argument: str, name: str, value: Any) -> np.ndarray:
        """The ids of a column of categories, (N,), or of a frame of columns, (N, C). name: of the input."""
        columns, names = _columns(argument, value), [str(column) for column in getattr(value, "columns", ())]
        known = self.labels.get(name)
        if known is None:
            if not self.open:
                raise ValueError(
                    f"{argument} holds categories, of which the model was taught none: expected such a column in its first fit,"
                    " or the integers that it was trained with"
                )
            known = self.labels[name] = [_listed(where, column) for where, column in columns]
            if names:
                self.columns[name] = names
        if len(known) != len(columns):
            raise ValueError(
                f"{argument} has {len(columns)} columns, expected {len(known)} as in the first fit"
            )
        # By their places the tables would be those of other columns.
        if names and names != self.columns.get(name, names):
            raise ValueError(
                f"{argument} has the columns {names!r:.200}, expected {self.columns[name]!r:.200}, in this order, as in the first"
                " fit"
            )
        ids = [_places(where, column, labels) for (where, column), labels in zip(columns, known, strict=True)]
        return np.stack(ids, axis=1) if hasattr(value, "columns") else ids[0]


def has_categories(value: Any) -> bool:
    """Whether this is a column of categories, or a frame that has such."""
    if isinstance(value, np.ndarray):  # most often: each `fit` asks
        return False
    return any(categories.is_categorical(column) for _, column in _columns("", value))


def _columns(argument: str, value: Any) -> list[tuple[str, Any]]:
    """The columns of a frame, or the only one, by what messages call them."""
    if not hasattr(value, "columns"):
        return [(argument, value)]
    return [
        (f"{argument}[{name!r}]", value.iloc[:, place] if hasattr(value, "iloc") else value[name])
        for place, name in enumerate(value.columns)
    ]


def _listed(argument: str, column: Any) -> list[Any] | None:
    if not categories.is_categorical(column):
        return None
    labels = categories.declared(column) or categories.distinct(argument, categories.values_of(column))
    for label in labels:
        if not isinstance(label, str | int | float):
            raise TypeError(
                f"{argument} has the category {label!r:.80}, a {type(label).__name__}, expected strings or numbers, such as"
                " .cat.rename_categories(str)"
            )
    return labels


def _places(argument: str, column: Any, labels: list[Any] | None) -> np.ndarray:
    if labels is None or not categories.is_categorical(column):
        return arrays.indices(column, argument)
    values = categories.values_of(column)
    found = categories.codes(argument, labels, values, other=-2, missing=-1)
    if (found < 0).any():
        row = int((found < 0).argmax())
        if found[row] == -1:
            raise ValueError(
                f"{argument} has no value at row {row}, expected a category: drop such rows, or fill them with a category of"
                " their own"
            )
        raise ValueError(
            f"{argument} holds {values[row]!r:.80} at row {row}, which is none of the categories of the first fit:"
            f" {labels!r:.200}"
        )
    return found
