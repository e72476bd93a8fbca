"""The layers of a Keras model one after another, by its configuration; branches are refused."""

from collections.abc import Iterator, Mapping
from typing import Any

FUNCTION = "from_keras"
DEEPEST = 50


def entries_of(model: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The configuration of each layer, in the order of the forward pass; those of models within in their place."""
    layers = model.get("config", {}).get("layers")
    if (
        model.get("class_name") not in ("Sequential", "Functional", "Model")
        or not isinstance(layers, list)
        or depth > DEEPEST
    ):
        raise ValueError(
            f"{FUNCTION}: the model is a {model.get('class_name')!r:.80}, expected a Sequential or a functional model: rebuild"
            " it with backpass.nn"
        )
    before: str | None = None
    for layer in layers:
        kind, name = layer["class_name"], layer["config"].get("name")
        if not isinstance(kind, str) or not isinstance(name, str):
            raise ValueError(
                f"{FUNCTION}: a layer is {kind!r:.80} with the name {name!r:.80}, expected two strings"
            )
        inputs = [*_inputs(layer.get("inbound_nodes", []))]
        if inputs and inputs != [before]:
            raise ValueError(
                f"{FUNCTION}: layer {name!r:.80} reads {', '.join(map(repr, inputs)):.200}, expected {before!r:.80} alone: a"
                " network with branches is an nn.Module with a forward"
            )
        before = name
        if "layers" in layer["config"]:
            yield from (
                entry for entry in entries_of(layer, depth + 1) if entry["class_name"] != "InputLayer"
            )
        else:
            yield layer


def _inputs(nodes: Any) -> Iterator[str]:
    """The names of the layers that a layer reads."""
    if isinstance(nodes, Mapping):
        if nodes.get("class_name") == "__keras_tensor__":
            yield nodes["config"]["keras_history"][0]
            return
        nodes = [*nodes.values()]
    if isinstance(nodes, list | tuple):
        for node in nodes:
            yield from _inputs(node)


def rank_of(entries: list[Mapping[str, Any]]) -> int:
    """The dimensions of the input."""
    for entry in entries[:1]:
        shape = entry["config"].get("batch_shape") or entry.get("build_config", {}).get("input_shape")
        if isinstance(shape, list | tuple) and shape:
            return len(shape)
    raise ValueError(
        f"{FUNCTION}: the model has no input shape, expected one that was built: call it once, or give keras.Input"
    )
