"""A .keras file: the configuration of a model, and the arrays of each layer. Nothing outside the file is read."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from .keras_chain import FUNCTION, Place

# How many times as large as the file its parts may be: weights hardly shrink.
MOST_TIMES = 20
# Bytes that a part may have in any case.
ALWAYS = 1 << 24
# The parts of a layer that may have arrays of their own, in Keras's order.
PARTS = ("cell", "layer", "forward_layer", "backward_layer")


class Budget:
    """The bytes that all arrays together may take: as many as the file has that holds them."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, size: int) -> bool:
        """Take so many bytes; whether they were left."""
        self.left -= size
        return self.left >= 0


def read(file: Any) -> tuple[Mapping[str, Any], dict[Place, list[np.ndarray]]]:
    """Configuration, and arrays by the places of the layers, of an open file."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f'{FUNCTION}: a .keras file needs h5py ({error}): pip install "backpass[keras]"'
        ) from None
    with zipfile.ZipFile(file) as archive:
        limit = max(MOST_TIMES * file.seek(0, io.SEEK_END), ALWAYS)
        config = json.loads(_part(archive, "config.json", limit))
        data = _part(archive, "model.weights.h5", limit)
    if not isinstance(config, dict):
        raise ValueError("config.json holds no object")
    with h5py.File(io.BytesIO(data), "r") as weights:
        arrays: dict[Place, list[np.ndarray]] = {}
        _collect(weights, Budget(len(data)), arrays, ())
        return config, arrays


def _part(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A part of the archive; ValueError before more is unpacked than the file can hold in earnest."""
    size = archive.getinfo(name).file_size
    if size > limit:
        raise ValueError(f"{name} has {size:,} bytes once it is unpacked, expected at most {limit:,}")
    return archive.read(name)


def _collect(model: Any, budget: Budget, arrays: dict[Place, list[np.ndarray]], place: Place) -> None:
    """The arrays of all layers of a model, and of models within, by the places of the layers."""
    layers = _child(model, "layers")
    for key in layers:
        layer = _child(layers, key)
        name = _child(layer, "vars").attrs.get("name")
        if not isinstance(name, str):
            raise ValueError(
                f"layers/{key:.80} has no name, expected a file that Keras 3.5 or newer has written"
            )
        here = (*place, name)
        if here in arrays:
            raise ValueError(f"two layers have the name {'/'.join(here)!r:.80}")
        arrays[here] = _arrays(layer, budget)
        if "layers" in layer:
            _collect(layer, budget, arrays, here)


def _arrays(layer: Any, budget: Budget) -> list[np.ndarray]:
    own = _child(layer, "vars")
    found = [_array(own, key, budget) for key in sorted(own, key=int)]
    for part in PARTS:
        if part in layer:
            found += _arrays(_child(layer, part), budget)
    return found


def _child(group: Any, name: str) -> Any:
    """What stands in a group: no link to somewhere else, which HDF5 follows into other files."""
    import h5py

    if not isinstance(group, h5py.Group) or name not in group:
        raise ValueError(f"model.weights.h5 has no {name!r:.80} where it is expected")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r:.80} in model.weights.h5 is a link, expected what it leads to")
    return group[name]


def _array(group: Any, name: str, budget: Budget) -> np.ndarray:
    dataset = _child(group, name)
    if getattr(dataset, "external", None) or getattr(dataset, "is_virtual", True):
        raise ValueError(f"{name!r:.80} in model.weights.h5 has its data elsewhere, expected them in it")
    if dataset.dtype.kind not in "fiu" or not budget.take(dataset.nbytes):
        raise ValueError(
            f"{name!r:.80} in model.weights.h5 is {dataset.dtype} {dataset.shape}, more than the file holds"
        )
    array: np.ndarray = dataset[()]
    return array
