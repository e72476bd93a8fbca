"""like=: the conventions of another library, for every setting of layers, loss and optimizer that was not given."""

import copy
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

from .. import checks, losses, nn, optim
from ..described import Adjustable, adopt_defaults, given
from ..losses import Loss
from ..nn import Module
from ..optim import Optimizer
from ..optim.groups import ParameterGroups

Settings = Mapping[str, Any]
Part = TypeVar("Part", Loss, Optimizer)

# By the names of classes of backpass: other classes of these names have settings of their own.
# `init` is that of every layer whose constructor, of backpass.nn, has a word for one.
LAYERS: dict[str, dict[str, Settings]] = {
    "torch": {},
    "keras": {
        "BatchNorm1d": {"eps": 1e-3, "momentum": 0.01, "unbiased": False},
        "BatchNorm2d": {"eps": 1e-3, "momentum": 0.01, "unbiased": False},
        "SyncBatchNorm": {"eps": 1e-3, "momentum": 0.01, "unbiased": False},
        "LayerNorm": {"eps": 1e-3},
        "GroupNorm": {"eps": 1e-3},
        "RMSNorm": {"eps": 1e-6},
        "LeakyReLU": {"negative_slope": 0.3},
        "PReLU": {"init": 0.0},
    },
    "sklearn": {},
}
# scikit-learn averages a squared error over the outputs, and not its gradient.
LOSSES: dict[str, dict[str, Settings]] = {
    "torch": {},
    "keras": {},
    "sklearn": {
        "MSELoss": {"reduction": "half_batchmean"},
        "BCEWithLogitsLoss": {"reduction": "batchmean"},
        "PoissonNLLLoss": {"reduction": "batchmean"},
    },
}
# Keras adds eps to the root of the uncorrected moment, or to what is under the root: Adagrad's total may start with it.
OPTIMIZERS: dict[str, dict[str, Settings]] = {
    "torch": {},
    "keras": {
        "SGD": {"lr": 1e-2, "lr_in_velocity": True},
        "Adam": {"eps": 1e-7, "eps_hat": True},
        "AdamW": {"eps": 1e-7, "eps_hat": True, "weight_decay": 4e-3},
        "RMSprop": {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7, "eps_inside": True, "lr_in_velocity": True},
        "Adagrad": {"lr": 1e-3, "initial_accumulator_value": 0.1000001, "eps": 0.0},
        "Adadelta": {"lr": 1e-3, "rho": 0.95, "eps": 1e-7},
        "Lion": {"lr": 1e-3},
        "NAdam": {"lr": 1e-3, "eps": 1e-7},
    },
    "sklearn": {
        "SGD": {"momentum": 0.9, "nesterov": True, "lr_in_velocity": True},
        "Adam": {"eps_hat": True},
    },
}
# Settings that mean a convention together: where one is given, the others stay.
TOGETHER = ({"initial_accumulator_value", "eps"},)


def checked(like: Any) -> str | None:
    """The name of a library, or None."""
    if like is not None and not checks.is_name(like, LAYERS):
        raise ValueError(f"like is {like!r:.80}, expected None, 'torch', 'keras' or 'sklearn'")
    return like if like is None else str(like)


def follow_layers(like: str | None, net: Module) -> None:
    """Give the layers of a network that has no weights yet what they were not given."""
    if like is None or any(layer.__dict__.get("_flat") is not None for _, layer in net.walk()):
        return  # with weights it is another model's, as binding it says
    for _, layer in net.walk():
        drawn = isinstance(layer.settings.get("init"), str) and type(layer).__init__.__module__.startswith(
            "backpass.nn."
        )
        if like == "sklearn" and isinstance(layer, nn.Embedding):  # it has no tables
            drawn = False
        own = {"init": like} if drawn else {}
        if changed := _unsaid(layer, {**_row(LAYERS[like], nn, layer), **own}):
            _change(layer, changed)


def following(like: str | None, part: Part) -> Part:
    """A loss or an optimizer with what it was not given; where that changes it a copy, as another model may have it too."""
    if like is None:
        return part
    if isinstance(part, ParameterGroups):
        groups = tuple(following(like, group) for group in part.groups)
        # Its settings may hold an iterator of parameters, which is exhausted.
        changed: Settings = {"groups": groups, "params": part.params} if groups != part.groups else {}
    else:
        table, room = (LOSSES, losses) if isinstance(part, Loss) else (OPTIMIZERS, optim)
        changed = _unsaid(part, _row(table[like], room, part))
    if changed:
        part = copy.copy(part)
        adopt_defaults(part, changed)
    return part


def _row(table: Mapping[str, Settings], room: ModuleType, part: Adjustable) -> Settings:
    """What a table says of a layer, loss or optimizer: of the class that the room has under its name."""
    name = type(part).__name__
    return table.get(name, {}) if getattr(room, name, None) is type(part) else {}


def _unsaid(part: Adjustable, settings: Settings) -> dict[str, Any]:
    """Those of the settings that were not given, and are others now."""
    # Nesterov's form, where what was given allows it.
    plain = ("momentum" in given(part) and not part.settings["momentum"]) or part.settings.get("dampening")
    if plain and "nesterov" in settings:
        settings = {name: value for name, value in settings.items() if name != "nesterov"}
    stay = given(part).union(*(names for names in TOGETHER if names & given(part)))
    return {
        name: value for name, value in settings.items() if name not in stay and part.settings[name] != value
    }


def _change(layer: Module, changed: Settings) -> None:
    """Other settings of a layer; weights that something else draws, such as a tied or a given table, stay as they are."""
    old, new = (type(layer).from_settings(layer.settings | dict(given)) for given in ({}, changed))
    layer.__dict__["settings"] = new.settings
    for name in changed:
        if name in vars(new):
            layer.__dict__[name] = vars(new)[name]
    for name, parameter in layer.learned.items():
        if name in old.learned and _alike(parameter.draw, old.learned[name].draw):
            parameter.draw = new.learned[name].draw


def _alike(a: Any, b: Any) -> bool:
    """Whether two functions draw alike."""
    if isinstance(a, partial) and isinstance(b, partial):
        return a.func is b.func and a.args == b.args
    return bool(a == b)
