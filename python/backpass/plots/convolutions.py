"""The convolutions of a network by name."""

from typing import Any

from ..engine.engine import HasEngine
from ..errors import did_you_mean
from ..nn import Module
from ..nn.window import ChannelsToChannels


def convolution(model: HasEngine, layer: str | None) -> tuple[str, Any]:
    """Name and convolution: the one of this name, for None the first; ValueError where there is none."""
    layers = dict(named_layers(model))
    found = {name: one for name, one in layers.items() if isinstance(one, ChannelsToChannels)}
    if not found:
        raise ValueError(f"model has no convolution, such as nn.Conv2d: {model.engine.net!r:.200}")
    if layer is None:
        return next(iter(found.items()))
    if layer not in found:
        other = f", {type(layers[layer]).__name__}" if isinstance(layer, str) and layer in layers else ""
        near = did_you_mean(layer, found) if isinstance(layer, str) and not other else ""
        raise ValueError(
            f"layer is {layer!r:.80}{other}, expected the name of a convolution, one of {[*found]!r:.200}{near}"
        )
    return layer, found[layer]


def named_layers(model: HasEngine) -> list[tuple[str, Module]]:
    """The layers of a network and their names."""
    return [*model.engine.net.walk()]


def title(name: str, layer: Any, *parts: str) -> str:
    """The line above a picture."""
    return ", ".join([f"{name}: {layer!r}" if name else repr(layer), *parts])
