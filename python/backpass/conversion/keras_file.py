"""A .keras file: the configuration of a model, and the arrays of each layer. Nothing outside the file is read."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

FUNCTION = "from_keras"
# The parts of a layer that may have arrays of their own, in Keras's order.
PARTS = ("cell", "layer", "forward_layer", "backward_layer")


def read(file: Any) -> tuple[Mapping[str, Any], dict[str, list[np.ndarray]]]:
    """Configuration, and arrays by the names of the layers, of an open file."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f'{FUNCTION}: a .keras file needs h5py ({error}): pip install "backpass[keras]"'
        ) from None
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))
        data = archive.read("model.weights.h5")
    if not isinstance(config, dict):
        raise ValueError("config.json holds no object")
    with h5py.File(io.BytesIO(data), "r") as weights:
        arrays: dict[str, list[np.ndarray]] = {}
        _collect(weights, len(data), arrays)
        return config, arrays


def _collect(model: Any, limit: int, arrays: dict[str, list[np.ndarray]]) -> None:
    """The arrays of all layers of a model, and of models within, by the names of the layers."""
    layers = _child(model, "layers")
    for key in layers:
        layer = _child(layers, key)
        if "layers" in layer:
            _collect(layer, limit, arrays)
            continue
        name = _child(layer, "vars").attrs.get("name")
        if not isinstance(name, str):
            raise ValueError(
                f"layers/{key:.80} has no name, expected a file that Keras 3.5 or newer has written"
            )
        if name in arrays:
            raise ValueError(f"two layers have the name {name!r:.80}")
        arrays[name] = _arrays(layer, limit)


def _arrays(layer: Any, limit: int) -> list[np.ndarray]:
    own = _child(layer, "vars")
    found = [_array(own, key, limit) for key in sorted(own, key=int)]
    for part in PARTS:
        if part in layer:
            found += _arrays(_child(layer, part), limit)
    return found


def _child(group: Any, name: str) -> Any:
    """What stands in a group: no link to somewhere else, which HDF5 follows into other files."""
    import h5py

    if not isinstance(group, h5py.Group) or name not in group:
        raise ValueError(f"model.weights.h5 has no {name!r:.80} where it is expected")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r:.80} in model.weights.h5 is a link, expected what it leads to")
    return group[name]


def _array(group: Any, name: str, limit: int) -> np.ndarray:
    dataset = _child(group, name)
    if getattr(dataset, "external", None) or getattr(dataset, "is_virtual", True):
        raise ValueError(f"{name!r:.80} in model.weights.h5 has its data elsewhere, expected them in it")
    if dataset.dtype.kind not in "fiu" or dataset.nbytes > limit:
        raise ValueError(
            f"{name!r:.80} in model.weights.h5 is {dataset.dtype} {dataset.shape}, more than the file holds"
        )
    array: np.ndarray = dataset[()]
    return array
