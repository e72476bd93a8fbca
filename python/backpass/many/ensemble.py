"""Ensemble: several models of one thing, their mean and how far they are apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checkpoint.own import NOTHING, own_of
from ..checkpoint.save import reading
from ..checks import as_path, flag
from ..model import Model
from ..training.evaluate import one_is_right, probabilities
from .options import checked_models
from .stack import Build, Stack, read, rebuilt, restored, structure, tensors_of, write

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Ensemble:
    """Several models of one thing: mean, standard deviation and quantiles of what they predict; a vote where there are classes.

    mean = Σ predict_m / M, std = √(Σ (predict_m - mean)² / M) over M members (Lakshminarayanan et al. 2017, deep ensembles).

    Args:
        models: different bp.Models with outputs of one shape, such as `runs.trained` of bp.fit_many.

    Attributes: models, the members.

    Raises:
        TypeError, ValueError: models is empty, or holds something else or a model twice.

    Example:
        >>> runs = bp.fit_many([bp.Model(nn.Linear(4, 1), seed=seed) for seed in range(5)], X, y)
        >>> mean, std = bp.Ensemble(runs.trained).predict(X, return_std=True)
    """

    def __init__(self, models: Iterable[Model]) -> None:
        self.models = checked_models(models)

    def predict(self, X: ArrayLike | Any, return_std: bool = False) -> Any:
        """The mean of what the members predict, (N, ...); with `return_std` also their standard deviation, as in scikit-learn.

        Args:
            X: (N, ...) as in `Model.fit`. return_std: default False.

        Raises:
            ValueError, TypeError: X does not fit a member; the outputs of members differ in shape.
        """
        flag("return_std", return_std)
        total = spread = np.zeros(())
        dtype = np.dtype(np.float32)
        for count, pred in enumerate(self._predictions(X), 1):
            dtype = np.promote_types(dtype, pred.dtype)
            # Welford's sums: of one pass, and exact where all members agree.
            apart = pred.astype(np.float64) - total
            total = total + apart / count
            spread = spread + apart * (pred - total)
        mean = total.astype(dtype)
        return (mean, np.sqrt(spread / len(self.models)).astype(dtype)) if return_std else mean

    def quantile(self, X: ArrayLike | Any, q: float | ArrayLike) -> np.ndarray:
        """Quantiles over the members: (N, ...) for a number q from 0 to 1, (len(q), N, ...) for several.

        Raises:
            ValueError, TypeError: q is out of range; as in `predict`.
        """
        wanted = np.asarray(q, np.float64)
        if wanted.ndim > 1 or not ((wanted >= 0) & (wanted <= 1)).all():
            raise ValueError(f"q is {q!r:.80}, expected numbers from 0 to 1")
        return np.asarray(np.quantile(np.stack([*self._predictions(X)]), wanted, axis=0))

    def predict_proba(self, X: ArrayLike | Any) -> np.ndarray:
        """The mean of the members' probabilities, as in `Model.predict_proba`.

        Raises:
            RuntimeError: the loss of a member is not one of classes. ValueError, TypeError: as in `predict`.
        """
        return np.asarray(sum(likely for likely, _ in self._probabilities(X)) / len(self.models))

    def predict_classes(self, X: ArrayLike | Any) -> np.ndarray:
        """The class of the largest mean probability, (N,); of several labels a row 0 and 1, (N, K).

        Raises:
            RuntimeError, ValueError, TypeError: as in `predict_proba`.
        """
        total, one = np.zeros(()), True
        for likely, one_class in self._probabilities(X):
            total, one = total + likely, one_class
        return np.asarray(total.argmax(axis=-1) if one else total > 0.5 * len(self.models)).astype(np.int64)

    def vote(self, X: ArrayLike | Any) -> np.ndarray:
        """The share of the members for which each class is the most probable, (N, C); of several labels that say 1, (N, K).

        Raises:
            RuntimeError, ValueError, TypeError: as in `predict_proba`.
        """
        votes = np.zeros(())
        for likely, one in self._probabilities(X):
            chosen = np.arange(likely.shape[-1]) == likely.argmax(axis=-1)[..., None] if one else likely > 0.5
            votes = votes + chosen
        return votes / len(self.models)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the weights of all members to one safetensors file, without what training goes on from.

        Args:
            path: the file, written atomically; `~` is the home folder.

        Raises:
            CheckpointError: the file could not be written.
        """
        target = Path(as_path("path", path))
        groups: dict[str, list[int]] = {}
        for number, model in enumerate(self.models):
            groups.setdefault(json.dumps(structure(model, target)), []).append(number)
        tensors: dict[str, np.ndarray] = {}
        for place, members in enumerate(groups.values()):
            stack = Stack(self.models[members[0]], len(members))
            for row, number in enumerate(members):
                stack.put(row, self.models[number])
            tensors |= tensors_of(stack, f"group{place}")
        own = [own_of(model.engine) for model in self.models]
        written = {
            "seeds": [model.seed for model in self.models],
            **{name: [one[name] for one in own] for name in NOTHING},
            "groups": [{"model": json.loads(text), "members": members} for text, members in groups.items()],
        }
        write(target, "Ensemble", tensors, written)

    @staticmethod
    def load(path: str | PathLike[str], build: Build | None = None) -> Ensemble:
        """The ensemble in a file of `save`.

        Args:
            path: the file. Nothing in it is executed.
            build: only needed where members are made of classes of your own: a function that makes a new model like each,
                with its metrics. A warning says where net, loss, precision or like are others.

        Raises:
            FileNotFoundError: there is no such file. CheckpointError: names the file and what is wrong with it.
        """
        source = Path(as_path("path", path))
        tensors, written = read(source, "Ensemble")
        with reading(source):
            seeds, groups = written["seeds"], written["groups"]
            members = sorted(number for group in groups for number in group["members"])
            if members != [*range(len(seeds))] or not members:
                raise ValueError("its groups do not hold each member once")
            described = [(group["model"], group["members"]) for group in groups]
            own = {name: written.get(name, [none] * len(seeds)) for name, none in NOTHING.items()}
            for name, values in ({"seeds": seeds} | own).items():
                if not isinstance(values, list) or len(values) != len(members):
                    raise ValueError(
                        f"{name} is {values!r:.80}, expected one for each of {len(members)} members"
                    )
        models: dict[int, Model] = {}
        for place, (description, members) in enumerate(described):
            for row, number in enumerate(members):
                of_one = {name: values[number] for name, values in own.items()}
                model = rebuilt(source, description, seeds[number], of_one, build)
                if not row:
                    stack = restored(
                        source, tensors, f"group{place}", model, len(members), description if build else None
                    )
                models[number] = stack.fill(row, model)
        return Ensemble([models[number] for number in range(len(seeds))])

    def __len__(self) -> int:
        return len(self.models)

    def __repr__(self) -> str:
        return f"Ensemble({len(self.models)} models, the first {self.models[0]!r})"

    def _predictions(self, X: Any) -> Iterator[np.ndarray]:
        """What each member predicts, checked to be of one shape."""
        shape: tuple[int, ...] | None = None
        for number, model in enumerate(self.models):
            pred = model.predict(X)
            if not isinstance(pred, np.ndarray):
                raise TypeError(f"models[{number}] has {len(pred)} outputs, expected one")
            if shape is not None and pred.shape != shape:
                raise ValueError(f"models[{number}] predicts {pred.shape}, expected {shape} as models[0]")
            shape = pred.shape
            yield pred

    def _probabilities(self, X: Any) -> Iterator[tuple[np.ndarray, bool]]:
        """The probabilities of each member, and whether one class is the right one."""
        for model, pred in zip(self.models, self._predictions(X), strict=True):
            yield probabilities(model.engine, pred), one_is_right(model.engine, pred)
