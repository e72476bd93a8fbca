"""Stack: the weights of many models of one structure, an array (models, ...) for each key of their state_dict."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .._version import __version__
from ..checkpoint import contents, files
from ..checkpoint.load import arguments_of, metrics_of
from ..checkpoint.own import known_categories
from ..checkpoint.save import HOW, model_description, reading
from ..engine import weights
from ..engine.engine import Engine
from ..errors import CheckpointError, warn
from ..model import Model

# A model as it was, of whose classes a file knows nothing.
Build = Callable[[], Model]
# What to do about a part that a file cannot describe.
BY_BUILD = dict.fromkeys(HOW, "give build=")


class Stack:
    """Weights and running statistics of `count` models like this one; all 0 until they are put."""

    def __init__(self, model: Model, count: int) -> None:
        self.model, self.count = model, count
        views = dict(weights.views(model.net))
        self.arrays = {key: np.zeros((count, *view.shape), view.dtype) for key, view in views.items()}
        self._structure = structure(model)
        # Engines that are known to be alike, at the version at which they were: a description takes 0.4 ms.
        self._alike: WeakKeyDictionary[Engine, int] = WeakKeyDictionary()

    def put(self, number: int, model: Model) -> None:
        """Take over the weights of a model; ValueError where it has others, or computes something else with them."""
        views = dict(weights.views(model.net))
        given = [(key, view.shape, view.dtype) for key, view in views.items()]
        if given != self.shapes():
            raise ValueError(
                f"a model has the weights {_shown(given)}, expected {_shown(self.shapes())} as of the first"
            )
        self._check_alike(model)
        for key, view in views.items():
            self.arrays[key][number] = view

    def fill(self, number: int, model: Model) -> Model:
        """Give a model the weights of this number."""
        for key, view in weights.views(model.net):
            view[...] = self.arrays[key][number]
        return model

    def shapes(self) -> list[tuple[str, tuple[int, ...], np.dtype[Any]]]:
        """Key, shape and dtype of each array of a model."""
        return [(key, array.shape[1:], array.dtype) for key, array in self.arrays.items()]

    def _check_alike(self, model: Model) -> None:
        """Whether a model has the network and the loss of the first; its optimizer goes, and with it what is only its own."""
        engine, of_first = model.engine, self.model.engine
        for name in ("precision", "like"):
            one, other = getattr(engine, name), getattr(of_first, name)
            if one != other:
                raise ValueError(f"a model has another {name} than the first: {one!r}, expected {other!r}")
        engine.refresh()
        if self._alike.get(engine) == engine.version:
            return
        described = structure(model)
        for part, one, other in (("net", engine.net, of_first.net), ("loss", engine.loss, of_first.loss)):
            if described[part] != self._structure[part]:
                raise ValueError(
                    f"a model has another {part} than the first: {one!r:.300}, expected {other!r:.300} with its settings"
                )
        self._alike[engine] = engine.version


def _shown(shapes: list[tuple[str, tuple[int, ...], np.dtype[Any]]]) -> str:
    return ", ".join(f"{key} {shape} {dtype}" for key, shape, dtype in shapes)


def new_like(model: Model) -> Model:
    """A copy of a model as if it had never been trained, but for its weights."""
    copy = deepcopy(model)
    engine = copy.engine
    engine.use_optimizer(engine.optimizer)
    engine.step_counts[:] = 0
    engine.epoch, engine.last_run = 0, None
    return copy


def structure(model: Model, path: Path | None = None) -> dict[str, Any]:
    """What models that share a file's stack have in common: all of their description but the seed. path: of that file."""
    described = model_description(model.engine, path)
    described.pop("seed")
    return described


def tensors_of(stack: Stack, group: str) -> dict[str, np.ndarray]:
    """The arrays of a stack under the names that they have in a file; CheckpointError where one is not finite."""
    for key, array in stack.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"{key} of a model holds NaN or infinity: nothing was written")
    return {f"{group}.{key}": array for key, array in stack.arrays.items()}


def rebuilt(path: Path, description: Any, seed: Any, own: dict[str, Any], build: Build | None) -> Model:
    """A model of a structure that a file describes, or what `build` makes, with its metrics; own: of `own_of`."""
    with reading(path):
        known = known_categories(own)
    if build is None:
        with reading(path):
            model = Model(**arguments_of(path, description | {"seed": seed}, BY_BUILD))
        metrics = metrics_of(path, own, "assign them to the metrics of each model")
        with reading(path):
            model.metrics = metrics
    else:
        model = _made(build)
    model.engine.categories = known
    return model


def _made(build: Build) -> Model:
    made = build()
    if not isinstance(made, Model):
        raise TypeError(f"build made {made!r:.80}, expected a bp.Model")
    return made


def restored(
    path: Path, tensors: dict[str, np.ndarray], group: str, model: Model, count: int, made_as: Any = None
) -> Stack:
    """The stack of models like this one in what a file holds; its tensors are taken out. made_as: how it
    describes them, where `build` made this one."""
    stack = Stack(model, count)
    declared = {f"{group}.{key}": ((count, *shape), dtype.name) for key, shape, dtype in stack.shapes()}
    with reading(path, "does not fit its models"):
        contents.check(tensors, declared)
    for key in stack.arrays:
        stack.arrays[key] = tensors.pop(f"{group}.{key}")
    if made_as is not None:
        _warn_of_another(path, made_as, model)
    return stack


def _warn_of_another(path: Path, description: Any, made: Model) -> None:
    """Where `build` made a model that takes the weights of a file, but is not what the file describes."""
    described = json.loads(json.dumps(structure(made)))
    with reading(path):
        told = [
            f"{name} had other settings than {part!r:.200}, which build made"
            for name, part in (("net", made.net), ("loss", made.loss))
            if description[name] != described[name]
        ]
        told += [
            f"{name} was {there!r:.80}, but build made {here!r}"
            for name, there, here in (
                ("precision", description.get("precision", "float32"), made.precision),
                ("like", description.get("like"), made.like),
            )
            if there != here
        ]
    if told:
        warn(f"{path} holds models whose {'; whose '.join(told)}", RuntimeWarning)


def write(path: Path, kind: str, tensors: dict[str, np.ndarray], written: dict[str, Any]) -> None:
    """One file of stacks; written: what is said of them, as JSON takes it."""
    text = json.dumps({"version": __version__} | written)
    files.write(path, tensors, {"backpass_holds": kind, "backpass": text})


def read(path: Path, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors of a file of such a kind, and what is said of them."""
    tensors, metadata = files.read(path)
    if metadata.get("backpass_holds") != kind:
        reader = metadata.get("backpass_holds")
        raise CheckpointError(
            f"{path} holds no {kind}: {f'bp.{reader}.load' if reader else 'bp.load'} reads it"
        )
    with reading(path):
        return tensors, dict(json.loads(metadata["backpass"]))
