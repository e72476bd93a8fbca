"""The layers of a Keras model one after another, by its configuration; branches are refused."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

FUNCTION = "from_keras"
DEEPEST = 50
# The name of a layer behind those of the models that it is in, without the outermost.
Place = tuple[str, ...]


class Entry(NamedTuple):
    """A layer of a model: where it is, and what its configuration says."""

    place: Place
    layer: Mapping[str, Any]


def entries_of(model: Mapping[str, Any], place: Place = ()) -> Iterator[Entry]:
    """Each layer, in the order of the forward pass; those of models within in their place."""
    layers = model.get("config", {}).get("layers")
    if (
        model.get("class_name") not in ("Sequential", "Functional", "Model")
        or not isinstance(layers, list)
        or len(place) > DEEPEST
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
            inner = entries_of(layer, (*place, name))
            yield from (entry for entry in inner if entry.layer["class_name"] != "InputLayer")
        else:
            yield Entry((*place, name), layer)
    if model["class_name"] != "Sequential":
        for key, end in (("input_layers", layers[:1]), ("output_layers", layers[-1:])):
            names, wanted = [*_ends(model["config"].get(key))], [layer["config"]["name"] for layer in end]
            if names != wanted:
                raise ValueError(
                    f"{FUNCTION}: {key} of {model['config'].get('name')!r:.80} are {names!r:.200}, expected {wanted!r:.80}: a"
                    " network of several inputs or outputs is an nn.Module with a forward"
                )


def _ends(told: Any) -> Iterator[str]:
    """The names of the layers where a functional model begins, or ends."""
    if isinstance(told, Mapping):
        told = [*told.values()]
    if isinstance(told, list | tuple):
        if len(told) == 3 and isinstance(told[0], str):
            yield told[0]
        else:
            for each in told:
                yield from _ends(each)


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


def rank_of(entries: Sequence[Entry]) -> int:
    """The dimensions of the input."""
    for _, layer in entries[:1]:
        shape = layer["config"].get("batch_shape") or layer.get("build_config", {}).get("input_shape")
        if isinstance(shape, list | tuple) and shape:
            return len(shape)
    raise ValueError(
        f"{FUNCTION}: the model has no input shape, expected one that was built: call it once, or give keras.Input"
    )
