"""Layers and their twins in PyTorch: the classes, and the arguments that these have."""

import inspect
from functools import cache
from types import ModuleType
from typing import Any

# What PyTorch's recurrent layers take; their signatures do not say it.
RECURRENT = {"input_size": 0, "hidden_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
             "bidirectional": False, "proj_size": 0}  # fmt: skip
# Arguments that say where tensors are, and how they are computed: none that a network differs by.
ELSEWHERE = ("device", "dtype", "inplace", "enable_nested_tensor", "mask_check")
# Layers of backpass that hold others, and are taken apart.
HOLDERS = ("Sequential", "Residual", "TransformerEncoder")


def pytorch(function: str) -> ModuleType:
    """The module torch; ImportError where it is missing."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"{function} needs PyTorch ({error}): pip install torch") from None
    module: ModuleType = torch
    return module


@cache
def classes() -> dict[str, tuple[type, ...]]:
    """The classes in PyTorch by the name of the layer here: ours first, where torch.nn has none that gives one tensor."""
    from torch import nn as theirs

    from ... import nn
    from . import modules

    found: dict[str, tuple[type, ...]] = {}
    for name in nn.__all__:
        here = getattr(nn, name)
        if (
            isinstance(here, type)
            and issubclass(here, nn.Module)
            and name not in ("Module", "ModuleList", "ModuleDict", "ParameterList")
        ):
            twins = (getattr(place, name, None) for place in (modules, theirs))
            if known := tuple(twin for twin in twins if twin is not None):
                found[name] = known
    return found


@cache
def arguments(twin: type) -> dict[str, Any]:
    """The arguments of a class of PyTorch that matter here, with their defaults."""
    from torch import nn as theirs

    if issubclass(twin, theirs.RNNBase):
        own = {"nonlinearity": "tanh"} if issubclass(twin, theirs.RNN) else {}
        return RECURRENT | own
    named = next(base for base in twin.__mro__ if "sizes" not in inspect.signature(base).parameters)
    return {
        name: p.default
        for name, p in inspect.signature(named).parameters.items()
        if name not in ELSEWHERE and name[0] != "_" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
