"""ModelsByKey: what `fit_each` returns, a model for each key, of which only the weights are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint.own import own_in, own_of
from ..checkpoint.save import reading
from ..checks import as_path
from ..errors import CheckpointError
from ..model import Model
from .groups import Columns, columns_of, grouped
from .runs import frame_of
from .stack import Build, Stack, read, rebuilt, restored, structure, tensors_of, write


class ModelsByKey(Mapping[Any, Model]):
    """Models of one structure by key, as `bp.fit_each` returns them: a mapping key -> bp.Model.

    Only the weights are kept: `models[key]` is made when it is asked for, ready to predict, or to be trained as a new model is.

    Args:
        keys: of the models. stack: their weights. by, X: the names of the columns; `fit_each` and `load` give all of them.

    Attributes:
        by, X: the names of the columns.
        errors: a dict from a key to the exception that ended its model; such a key has no model.
        rows: a dict for each key: "key", "epochs", "epoch", what that epoch logged, and "error"; empty after `load`.

    Raises:
        KeyError: no model has this key.

    Example:
        >>> data = {"user": np.arange(96) % 3, "x": X, "y": y}
        >>> models = bp.fit_each(bp.Model(nn.Linear(4, 1)), data, by="user", X="x", y="y")
        >>> models.predict(data).shape
        (96, 1)
    """

    def __init__(self, keys: list[Any], stack: Stack, by: str, X: Columns) -> None:
        self.by, self.X = by, X
        self.errors: dict[Any, Exception] = {}
        self.rows: list[dict[str, Any]] = []
        self._stack = stack
        self._places = {key: place for place, key in enumerate(keys)}

    def __getitem__(self, key: Any) -> Model:
        return self._stack.fill(self._place(key), deepcopy(self._stack.model))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def predict(self, data: Any) -> np.ndarray:
        """What each row's model predicts, (N, ...) in the order of the rows.

        Args:
            data: a frame or dict with the columns that `fit_each` had, but for y.

        Raises:
            KeyError: a key has no model. ValueError, TypeError: a column is missing or does not fit.
        """
        groups = grouped(data, self.by)
        rows = groups.of_rows("X", columns_of(data, "X", self.X))
        model = deepcopy(self._stack.model)
        # All have to be there before the first predicts.
        places = [self._place(key) for key in groups.keys]
        parts = [
            self._stack.fill(place, model).predict(rows[part])
            for place, part in zip(places, groups.slices, strict=True)
        ]
        predicted = np.concatenate(parts)
        out = np.empty_like(predicted)
        out[groups.order] = predicted
        return out

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame. Raises ImportError where pandas is missing."""
        return frame_of(self.rows)

    def save(self, path: str | PathLike[str]) -> None:
        """Write all models to one safetensors file: their weights, without what training goes on from.

        Args:
            path: the file, written atomically; `~` is the home folder.

        Raises:
            CheckpointError: the file could not be written; there is no model.
        """
        target = Path(as_path("path", path))
        if not self._places:
            raise CheckpointError(
                f"all {len(self.errors)} models failed, see errors: {target} was not written"
            )
        kept = Stack(self._stack.model, len(self))
        rows = [*self._places.values()]
        kept.arrays = {key: array[rows] for key, array in self._stack.arrays.items()}
        written = {
            "model": structure(kept.model, target),
            "seed": kept.model.seed,
            **own_of(kept.model.engine),
            "keys": [*self],
            "by": self.by,
            "X": self.X,
        }
        write(target, "ModelsByKey", tensors_of(kept, "models"), written)

    @staticmethod
    def load(path: str | PathLike[str], build: Build | None = None) -> ModelsByKey:
        """The models in a file of `save`.

        Args:
            path: the file. Nothing in it is executed.
            build: only needed where the models are made of classes of your own: a function that makes a new one, with its
                metrics. A warning says where net, loss, precision or like are others.

        Raises:
            FileNotFoundError: there is no such file. CheckpointError: names the file and what is wrong with it.
        """
        source = Path(as_path("path", path))
        tensors, written = read(source, "ModelsByKey")
        with reading(source):
            keys, by, X = written["keys"], written["by"], written["X"]
            if not isinstance(keys, list) or not keys or len({*keys}) != len(keys):
                raise ValueError("its keys are none, or stand there twice")
            if not all(isinstance(name, str) for name in ([by, *X] if isinstance(X, list) else [by, X])):
                raise ValueError(f"its columns are {by!r:.80} and {X!r:.80}")
            description, seed = written["model"], written["seed"]
            own = own_in(written)
        model = rebuilt(source, description, seed, own, build)
        made_as = description if build else None
        return ModelsByKey(keys, restored(source, tensors, "models", model, len(keys), made_as), by, X)

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} failed" if self.errors else ""
        return f"ModelsByKey({len(self)} models by {self.by!r}{failed}, each {self._stack.model!r})"

    def drop(self, key: Any, error: Exception) -> None:
        """The model of this key failed."""
        self.errors[key] = error
        del self._places[key]

    def _place(self, key: Any) -> int:
        if key in self.errors:
            raise KeyError(f"the model of {key!r} failed: {self.errors[key]}")
        if key not in self._places:
            raise KeyError(f"no model has the key {key!r:.80}")
        return self._places[key]
