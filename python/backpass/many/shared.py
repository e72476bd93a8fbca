"""The data of many models: read once, not copied; a fold's rows are taken when its model begins."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np

from ..data import arrays
from ..data.images import Images
from ..data.streams import Streams
from ..model import Model

# Arguments of fit besides y with one value for each row of X.
BY_ROW = ("sample_weight", "lengths")
REST = "rest"


class Shared:
    """X and all that goes with its rows, as one model after the other asks for it."""

    def __init__(
        self, X: Any, by_row: dict[str, Any], validation_data: Any, folds: Any, weights: Any, models: int
    ) -> None:
        self.X, self.by_row, self.validation_data = X, by_row, validation_data
        self.folds = None if folds is None else checked_folds(folds, models, rows_of(X))
        self.weights = None if weights is None else checked_weights(weights, models, rows_of(X), by_row)
        rest = isinstance(validation_data, str) and validation_data == REST
        if isinstance(validation_data, str) and (not rest or folds is None):
            raise ValueError(
                f"validation_data is {validation_data!r:.80}, expected (X, y), or with folds= {REST!r}, the other rows"
            )
        self.rest = rest
        self._converted: dict[str, Any] = {}
        self._converting = Lock()

    def __getstate__(self) -> dict[str, Any]:
        """What other processes get: they convert X themselves."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _converted={}, _converting=Lock())

    def of(self, number: int, model: Model) -> dict[str, Any]:
        """X, y and the rest of the data as arguments of a model's `fit`."""
        by_row, X = dict(self.by_row), self._as(model)
        if self.weights is not None:
            by_row["sample_weight"] = self.weights[number]
        data = {"validation_data": self.validation_data}
        if self.folds is not None:
            fold = self.folds[number]
            if self.rest:
                others = np.setdiff1d(np.arange(rows_of(X)), fold)
                held_out = (X, by_row["y"], *(by_row.get(name) for name in BY_ROW))
                data["validation_data"] = tuple(taken(value, others) for value in held_out)
            X = taken(X, fold)
            by_row = {name: taken(value, fold) for name, value in by_row.items()}
        return {"X": X} | by_row | data

    def _as(self, model: Model) -> Any:
        """X in a model's dtype where it would be copied: converted once."""
        X = self.X
        other = isinstance(X, np.ndarray) and X.dtype.kind == "f" and X.dtype != model.dtype
        # A frame may hold indices or categories, where the network or code of users takes such.
        numbers = [*model.net.takes.values()] == ["number"] and model.engine.plans.few == 1
        if not other and not (hasattr(X, "columns") and numbers):
            return X
        with self._converting:
            if model.dtype.name not in self._converted:
                self._converted[model.dtype.name] = arrays.stored(X, model.dtype)
            return self._converted[model.dtype.name]


def rows_of(X: Any) -> int:
    """How many rows X has; TypeError where folds and weights have none to choose from."""
    if isinstance(X, Mapping) and X:
        return rows_of(next(iter(X.values())))
    if isinstance(X, tuple) and X:
        return rows_of(X[0])
    if isinstance(X, list):
        return len(X)
    if not hasattr(X, "shape") or isinstance(X, Images | Streams):
        raise TypeError(
            f"folds or weights are given, but X is a {type(X).__name__}, expected arrays with rows"
        )
    return int(X.shape[0])


def taken(data: Any, rows: np.ndarray) -> Any:
    """Some rows of data; None of None."""
    if data is None:
        return None
    if isinstance(data, Mapping):
        return {name: taken(value, rows) for name, value in data.items()}
    if isinstance(data, tuple):
        return tuple(taken(value, rows) for value in data)
    if isinstance(data, list):
        return [data[row] for row in rows]
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]


def checked_folds(folds: Any, models: int, rows: int) -> list[np.ndarray]:
    """The rows that each model trains on."""
    if isinstance(folds, str) or not hasattr(folds, "__len__") or len(folds) != models:
        described = f"of {len(folds)}" if hasattr(folds, "__len__") else f"a {type(folds).__name__}"
        raise ValueError(
            f"folds is {described}, expected a mask or an array of row numbers for each of {models} models"
        )
    return [_checked_fold(f"folds[{number}]", fold, rows) for number, fold in enumerate(folds)]


def _checked_fold(name: str, fold: Any, rows: int) -> np.ndarray:
    array = arrays.read(name, fold)
    if array.dtype == bool and array.shape == (rows,):
        array = np.flatnonzero(array)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}, expected a mask ({rows},) or the numbers of rows"
        )
    if not array.size:
        raise ValueError(f"{name} is empty, expected at least one row")
    if array.min() < 0 or array.max() >= rows:
        wrong = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"{name} holds row {wrong}, expected 0 to {rows - 1}")
    return array


def checked_weights(weights: Any, models: int, rows: int, by_row: Mapping[str, Any]) -> Any:
    """The weight of each row for each model, (models, rows); what they hold is checked by each `fit`."""
    if by_row.get("sample_weight") is not None:
        raise ValueError("weights and sample_weight are both given, expected one of them")
    array = arrays.as_array("weights", weights)
    if array.shape != (models, rows):
        raise ValueError(f"weights has shape {array.shape}, expected ({models}, {rows}): models and rows")
    return array
