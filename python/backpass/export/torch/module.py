"""Model.to_torch: a network as a module of PyTorch, and a state as tensors."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...engine import weights
from ...engine.engine import Engine
from ...nn import Module, Sequential, TransformerEncoder, TransformerEncoderLayer
from ...nn.tree import dotted
from .twins import HOLDERS, arguments, classes, pytorch

FUNCTION = "to_torch"


def tensors(state: Mapping[str, np.ndarray], function: str) -> dict[str, Any]:
    """Arrays that nobody else has, as tensors on the same memory."""
    torch = pytorch(function)
    return {name: torch.from_numpy(array) for name, array in state.items()}


def to_torch(engine: Engine) -> Any:
    """The network in PyTorch, as for inference, with the same weights."""
    torch = pytorch(FUNCTION)
    made: dict[int, Any] = {}
    module = _made(engine.net, "", made).to(getattr(torch, engine.dtype.name))
    _tie(engine.net, module)
    module.load_state_dict(tensors(weights.state_dict(engine.net), FUNCTION))
    frozen = {*weights.frozen(engine.net)}
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in frozen)
    return module.eval()


def _made(layer: Module, name: str, made: dict[int, Any]) -> Any:
    """The twin of a layer, and of those within; one that stands in several places is one."""
    if id(layer) not in made:
        made[id(layer)] = _new(layer, name, made)
    return made[id(layer)]


def _new(layer: Module, name: str, made: dict[int, Any]) -> Any:
    kind = type(layer).__name__
    where = f"layer {name!r}, {layer!r:.80}" if name else f"{layer!r:.80}"
    if layer.has_forward and layer.own_emit() is None:
        raise ValueError(
            f"{FUNCTION}: {where} has a forward of its own: write its class with torch.nn in place of backpass.nn, and"
            " load model.state_dict(as_torch=True) into it"
        )
    twins = classes().get(kind, ())
    if not twins or not type(layer).__module__.startswith("backpass.nn."):
        raise ValueError(f"{FUNCTION}: {where} has no counterpart in PyTorch")
    if kind in HOLDERS:
        return _holder(layer, name, made, twins[0])
    settings = dict(layer.settings)
    if settings.get("synchronized"):
        twins = classes()["SyncBatchNorm"]
    needs_ours = twins[0].__module__.startswith("backpass") and (
        len(twins) == 1 or "returns" in settings or kind == "MultiheadAttention" or settings.get("causal")
    )
    twin = twins[0] if needs_ours else twins[-1]
    known = {*arguments(twins[-1])} | ({"returns", "causal"} if needs_ours else set())
    given = {key: value for key, value in settings.items() if key in known}
    activation = given.get("activation")
    if isinstance(activation, Module):
        given["activation"] = _made(activation, dotted(name, "activation"), made)
    elif callable(activation):
        raise ValueError(f"{FUNCTION}: {where}: activation is a function, expected a name or a layer")
    return twin(**given)


def _holder(layer: Module, name: str, made: dict[int, Any], twin: Any) -> Any:
    inner = {key: _made(child, dotted(name, key), made) for key, child in layer.named_children()}
    if isinstance(layer, Sequential) and layer.has_names:
        try:
            return twin(OrderedDict(inner))
        except KeyError as error:  # a name that a module of PyTorch has itself
            raise ValueError(
                f"{FUNCTION}: layer {name!r} cannot have such a name in PyTorch: {error}"
            ) from None
    if not isinstance(layer, TransformerEncoder):
        return twin(*inner.values())
    if not isinstance(layer.layers[0], TransformerEncoderLayer):
        raise ValueError(
            f"{FUNCTION}: layer {name!r} has {layer.layers[0]!r:.80} as its layers, expected a TransformerEncoderLayer"
        )
    module = twin(inner["layers.0"], layer.num_layers, inner.get("norm"), enable_nested_tensor=False)
    for number in range(layer.num_layers):
        module.layers[number] = inner[f"layers.{number}"]
    return module


def _tie(net: Module, module: Any) -> None:
    """One parameter where several layers share one."""
    first: dict[int, Any] = {}
    for prefix, layer in net.walk():
        for key, parameter in layer.learned.items():
            twin = module.get_submodule(prefix)
            shared = first.setdefault(id(parameter), getattr(twin, key))
            if shared is not getattr(twin, key):
                setattr(twin, key, shared)
