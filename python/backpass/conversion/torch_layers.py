"""Layers of PyTorch as layers of backpass.nn: what each was made with is read from its attributes."""

import inspect
from collections.abc import Callable
from typing import Any

from .. import nn
from ..export.torch.twins import HOLDERS, arguments, classes
from ..nn import Module, Parameter
from ..nn.containers import wrong_name
from ..nn.transformer_layer import TransformerLayer
from ..nn.tree import dotted

FUNCTION = "from_torch"
FORWARD = (
    "has a forward of its own: put `from backpass import nn` in the place of torch.nn above its class, and load the weights:"
    " model.load_state_dict(module.state_dict())"
)
# Arguments of which one number stands for all dimensions.
SIZES = ("kernel_size", "stride", "padding", "dilation", "output_padding")


class Reader:
    """Reads modules; one that stands in several places becomes one layer.

    Attributes: leaves (layers whose state is their module's, with that module).
    """

    def __init__(self) -> None:
        self.made: dict[int, Module] = {}
        self.leaves: list[tuple[Module, Any]] = []

    def layer(self, module: Any, name: str) -> Module:
        """The layer of a module, whose place in the network is `name`."""
        if id(module) not in self.made:
            self.made[id(module)] = self._new(module, name)
        return self.made[id(module)]

    def _new(self, module: Any, name: str) -> Module:
        kind = type(module).__name__
        where = place_of(module, name)
        if hasattr(module, "parametrizations"):
            raise ValueError(
                f"{where} has parametrizations: torch.nn.utils.parametrize.remove_parametrizations first"
            )
        if "forward" in vars(module):
            raise ValueError(f"{where} has a forward that was set on it, which no layer here calls")
        if type(module) not in classes().get(kind, ()):
            theirs = type(module).__module__.startswith("torch.nn.modules.")
            raise ValueError(f"{where} {'has no counterpart in backpass.nn' if theirs else FORWARD}")
        if module._forward_hooks or module._forward_pre_hooks:
            raise ValueError(f"{where} has hooks, which no layer here calls: expected a module without")
        if kind == "Sequential":
            inner = self._inner(module, name)
            numbered = [*inner] == [str(number) for number in range(len(inner))]
            # Names that mean something else here are left out.
            named = not numbered and not any(map(wrong_name, inner))
            return nn.Sequential(inner) if named else nn.Sequential(*inner.values())
        if kind == "Residual":
            inner = self._inner(module, name)
            return nn.Residual(inner["inner"], shortcut=inner.get("shortcut"))
        encoder = Reader()._encoder(module, name) if kind in HOLDERS else None
        try:
            layer = encoder or getattr(nn, kind)(**READERS.get(kind, attributes)(module))
        except (ValueError, AttributeError) as error:  # of a part that something else replaces
            raise ValueError(f"{where} cannot be taken over: {error}") from None
        if isinstance(layer, TransformerLayer):
            _check_parts(layer, module, name)
        self.leaves.append((layer, module))
        return layer

    def _inner(self, module: Any, name: str) -> dict[str, Module]:
        # named_children() leaves out a module that stands in a second place.
        children = {key: child for key, child in module._modules.items() if child is not None}
        return {key: self.layer(child, dotted(name, key)) for key, child in children.items()}

    def _encoder(self, module: Any, name: str) -> Module:
        layers = [self.layer(child, dotted(name, f"layers.{i}")) for i, child in enumerate(module.layers)]
        for number, layer in enumerate(layers):
            if repr(layer) != repr(layers[0]):
                raise ValueError(
                    f"{FUNCTION}: module {name!r}: layer {number} is {layer!r}, expected {layers[0]!r}"
                )
        norm = None if module.norm is None else self.layer(module.norm, dotted(name, "norm"))
        return nn.TransformerEncoder(layers[0], len(layers), norm)

    def tie(self) -> None:
        """Share the parameters that modules share, and that are shared within one."""
        first: dict[int, Parameter] = {}
        for layer, module in self.leaves:
            tensors = dict(module.named_parameters(remove_duplicate=False))
            for prefix, part in layer.walk():
                for key, parameter in part.learned.items():
                    shared = first.setdefault(id(tensors.get(dotted(prefix, key), parameter)), parameter)
                    if shared is not parameter:
                        setattr(part, key, shared)


def place_of(module: Any, name: str) -> str:
    """How errors call a module: by its place in the network, unless it is the whole."""
    kind = type(module).__name__
    return f"{FUNCTION}: module {name!r}, {kind}," if name else f"{FUNCTION}: {kind}"


def _check_parts(layer: TransformerLayer, module: Any, name: str) -> None:
    """ValueError for a part of a transformer layer that is another one than its arguments make."""
    for key, part in layer.parts.items():
        found = Reader().layer(getattr(module, key), dotted(name, key))
        if repr(found) != repr(part):
            raise ValueError(
                f"{place_of(module, name)} cannot be taken over: {key} is {found!r}, expected {part!r}"
            )


def attributes(module: Any) -> dict[str, Any]:
    """The arguments of a layer, which are attributes of the module; those unknown here have to be at their defaults."""
    kind = type(module).__name__
    here = inspect.signature(getattr(nn, kind)).parameters
    twin = classes()[kind][-1]
    given = {name: getattr(module, name) for name in ("returns", "causal") if hasattr(module, name)}
    for name, default in arguments(twin).items():
        value = getattr(module, name, default)
        if name == "bias" and not isinstance(value, bool):
            value = value is not None
        if name in here:
            given[name] = _short(value) if name in SIZES else value
        elif value != default and (name != "bias" or getattr(module, "affine", True)):
            raise ValueError(f"{name} is {value!r}, expected {default!r}")
    return given


def _short(sizes: Any) -> Any:
    """One number for equal ones, as people write it."""
    return sizes[0] if isinstance(sizes, tuple) and len({*sizes}) == 1 else sizes


def _norm(module: Any) -> dict[str, Any]:
    given = attributes(module)
    shape = given["normalized_shape"]
    return given | {"normalized_shape": shape[0] if len(shape) == 1 else shape}


def _unflatten(module: Any) -> dict[str, Any]:
    return {"dim": module.dim, "unflattened_size": tuple(map(int, module.unflattened_size))}


def _attention(module: Any) -> dict[str, Any]:
    given, width = attributes(module), module.embed_dim
    # None stands for the width, which the module has in its place.
    given |= {name: None for name in ("kdim", "vdim") if given[name] == width}
    return given | {
        "bias": module.in_proj_bias is not None,
        "add_bias_kv": module.bias_k is not None,
    }


def _transformer(module: Any) -> dict[str, Any]:
    return {
        "d_model": module.self_attn.embed_dim,
        "nhead": module.self_attn.num_heads,
        "dim_feedforward": module.linear1.out_features,
        "dropout": module.dropout.p,
        "activation": _activation(module.activation),
        "layer_norm_eps": module.norm1.eps,
        "batch_first": module.self_attn.batch_first,
        "norm_first": module.norm_first,
        "bias": module.linear1.bias is not None,
        "causal": getattr(module, "causal", False),
    }


def _activation(function: Any) -> Any:
    """The name of a function of torch.nn.functional, or a layer."""
    from torch import nn as theirs

    if isinstance(function, theirs.Module):
        return Reader().layer(function, "activation")
    names = {theirs.functional.relu: "relu", theirs.functional.gelu: "gelu"}
    if function not in names:
        raise ValueError(f"activation is {function!r:.80}, expected 'relu', 'gelu' or a module")
    return names[function]


READERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "LayerNorm": _norm,
    "RMSNorm": _norm,
    "Unflatten": _unflatten,
    "MultiheadAttention": _attention,
    "TransformerEncoderLayer": _transformer,
    "TransformerDecoderLayer": _transformer,
}
