"""What a network of another library becomes: layers, their weights by name, and a model of both."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..engine import weights
from ..model import Model
from ..nn import Module


class Parts(NamedTuple):
    """A network, the arrays of `state_dict` for it, and the names of the parameters that are not trained."""

    net: Module
    state: Mapping[str, np.ndarray]
    frozen: frozenset[str] = frozenset()


def dtype_of(state: Mapping[str, np.ndarray]) -> str:
    """float64 where some weights are, else float32."""
    return "float64" if any(array.dtype == np.float64 for array in state.values()) else "float32"


def _check_shapes(parts: Parts) -> None:
    """ValueError where a layer would take memory for weights of another shape than those that there are."""
    for name, layer, key in weights.learned(parts.net):
        found, wanted = parts.state.get(name), layer.learned[key].shape
        if found is None or found.shape != wanted:
            shown = "missing" if found is None else f"of shape {found.shape}"
            raise ValueError(f"{name} of {layer!r:.80} is {shown}, expected an array of shape {wanted}")


def model_of(parts: Parts, loss: Any, optimizer: Any, options: Mapping[str, Any]) -> Model:
    """A model of these parts; options: further arguments of bp.Model."""
    _check_shapes(parts)
    weights.freeze(parts.net, parts.frozen)
    model = Model(parts.net, loss, optimizer, **{"dtype": dtype_of(parts.state), **options})
    model.load_state_dict(parts.state)
    return model
