"""The parameters and running statistics of a network under PyTorch's keys, in PyTorch's layout."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..data import arrays
from ..nn import Module
from ..nn.tree import dotted


def learned(net: Module) -> list[tuple[str, Module, str]]:
    """Name, layer and key of every parameter; a shared one once, under its first name."""
    return [(dotted(prefix, key), layer, key) for prefix, layer, key in net.parameter_places()]


def frozen(net: Module) -> list[str]:
    """The names of the parameters that are not trained."""
    return [name for name, parameter in net.named_parameters() if not parameter.requires_grad]


def freeze(net: Module, names: Collection[str]) -> None:
    """Train all parameters but those of these names; ValueError for a name that none has."""
    parameters = {name: (module, key) for name, module, key in learned(net)}
    if unknown := {*names} - {*parameters}:
        raise ValueError(f"{min(unknown)!r:.80} is frozen, but no parameter")
    for name, (module, key) in parameters.items():
        module.learned[key].requires_grad = name not in names


def views(net: Module) -> list[tuple[str, np.ndarray]]:
    """All parameters and running statistics, those of a shared layer under each of its names: what state_dict() copies."""
    named = []
    for prefix, layer in net.walk():
        named += [(dotted(prefix, key), layer.view(key)) for key in layer.learned]
        named += [(dotted(prefix, key), array) for key, array in layer.state.items()]
    return named


def state_dict(net: Module) -> dict[str, np.ndarray]:
    """Copies of all parameters and running statistics under PyTorch's keys, in PyTorch's layout."""
    return {name: np.array(array, order="C") for name, array in views(net)}


class Loaded(NamedTuple):
    """What `load_state_dict(strict=False)` did not take: keys of the network alone, and keys of the state alone."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(net: Module, state: Any, strict: bool = True) -> Loaded:
    """Take over parameters and running statistics; nothing changes if a shape, or with strict a key, does not fit."""
    fitting, current = checked(net, state, strict), dict(views(net))
    for name, array in fitting.items():
        current[name][...] = array
    return Loaded(sorted({*current} - {*state}), sorted({*state} - {*current}, key=str))


def checked(net: Module, state: Any, strict: bool = True) -> dict[str, np.ndarray]:
    """The arrays of a state in the network's dtypes, once every shape, and with strict every key, is known to fit."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"state is {type(state).__name__}, expected a dict of arrays such as state_dict() gives"
        )
    current = dict(views(net))
    missing, unknown = sorted(set(current) - set(state)), sorted(set(state) - set(current), key=str)
    if strict and (missing or unknown):
        raise KeyError(f"state: missing keys {missing}, unknown keys {unknown}")
    current = {name: view for name, view in current.items() if name in state}
    new = {name: arrays.as_array(f"state[{name!r}]", state[name]) for name in current}
    for name, view in current.items():
        if new[name].shape != view.shape:
            raise ValueError(f"state[{name!r}] has shape {new[name].shape}, expected {view.shape}")
    cast = {name: arrays.cast(f"state[{name!r}]", array, current[name].dtype) for name, array in new.items()}
    # A 0-d array came back as (1,).
    return {name: cast[name].reshape(view.shape) for name, view in current.items()}
