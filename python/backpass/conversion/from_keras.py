"""bp.from_keras: a model of Keras, or its file, as a model."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..checkpoint.save import reading
from ..checks import as_path
from ..model import AnyLoss, Model
from ..nn import Module
from ..optim import Optimizer, OptimizerName
from . import keras_file
from .keras_chain import FUNCTION, Entry, Place, entries_of, rank_of
from .keras_layers import LAYERS, activation
from .keras_parts import Arrays, Config, Converted
from .parts import Parts, model_of

# Layers whose activation is an argument.
ACTIVATED = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv2D")


def from_keras(
    model: Any,
    loss: AnyLoss = "mse",
    optimizer: OptimizerName | Optimizer = "adam",
    *,
    logits: bool = False,
    **options: Any,
) -> Model:
    """Model of a Keras model, or of a .keras file, whose layers follow one another, with its weights and statistics.

    It takes what the Keras model takes, images as (N, H, W, C) and sequences as (N, T, C), and gives what that gives: nn.Permute
    stands where the order of dimensions differs. Convolutions with padding "same" need a stride of 1 here; pooling takes
    padding "valid" alone. A layer's settings that have no counterpart are refused: regularizers, constraints, a frozen
    BatchNormalization.

    Args:
        model: a Sequential, a functional model without branches, or the path of a .keras file (Keras 3.5 and newer), of which
            nothing is executed.
        loss: as of bp.Model, default "mse". optimizer: as of bp.Model, default "adam".
        logits: whether a softmax or a sigmoid at the end is left out, as losses of classes take what is before it; default False.
        options: other arguments of bp.Model; `like` by default "keras", dtype that of the weights.

    Raises:
        TypeError: model is neither. ValueError: a layer or an argument without a counterpart, by name; branches, several
            inputs or outputs; no input shape.
        FileNotFoundError, CheckpointError: the file. ImportError: a file, and h5py is missing.

    Source: https://keras.io/api/layers.

    Example:
        >>> bp.from_keras(keras_file).net[1:4]
        Sequential(Conv2d(2, 3, (1, 2), init='keras'), ReLU(), BatchNorm2d(3, eps=0.001, momentum=0.01, unbiased=False))
    """
    if isinstance(model, str | os.PathLike):
        path = as_path("model", model)
        with open(path, "rb") as file, reading(Path(path), "is no .keras file that can be read"):
            config, arrays = keras_file.read(file)
            entries = [*entries_of(config)]
    elif hasattr(model, "get_config") and hasattr(model, "layers"):
        config = {"class_name": type(model).__name__, "config": model.get_config()}
        entries = [*entries_of(config)]
        arrays = {place: [*map(np.asarray, layer.get_weights())] for place, layer in _flat(model)}
    else:
        raise TypeError(
            f"{FUNCTION}: model is {model!r:.80}, expected a Keras model or the path of a .keras file"
        )
    return model_of(_parts(entries, arrays, logits), loss, optimizer, {"like": "keras", **options})


def _flat(model: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """The layers of a model with their places, those of models within it too."""
    for layer in model.layers:
        here = (*place, layer.name)
        yield from _flat(layer, here) if hasattr(layer, "layers") else ((here, layer),)


def _parts(entries: Sequence[Entry], arrays: Mapping[Place, Arrays], logits: bool) -> Parts:
    rank, first = rank_of(entries), False
    layers: list[Module] = []
    state: dict[str, np.ndarray] = {}
    frozen: set[str] = set()
    for entry in entries:
        if entry.layer["class_name"] == "InputLayer":
            continue
        for made in _converted(entry, arrays, rank):
            if made.first is not None and made.first != first and rank > 2:
                layers.append(
                    nn.Permute((0, rank - 1, *range(1, rank - 1)) if made.first else (0, *range(2, rank), 1))
                )
                first = made.first
            rank = made.rank
            first = first and rank > 2
            if made.layer is None:
                continue
            place, trained = len(layers), entry.layer["config"].get("trainable", True)
            layers.append(made.layer)
            state |= {f"{place}.{key}": array for key, array in made.state.items()}
            frozen |= {f"{place}.{key}" for key in (made.still if trained else made.layer.learned)}
    if logits and layers and isinstance(layers[-1], nn.Softmax | nn.Sigmoid):
        layers.pop()
    if first:
        layers.append(nn.Permute((0, *range(2, rank), 1)))
    return Parts(nn.Sequential(*layers), state, frozenset(frozen))


def _converted(entry: Entry, arrays: Mapping[Place, Arrays], rank: int) -> list[Converted]:
    """The layers that one of Keras's becomes: itself, and its activation."""
    kind, config = entry.layer["class_name"], Config(entry.layer["config"])
    where = f"{FUNCTION}: layer {'/'.join(entry.place)!r:.80}, {kind},"
    if kind not in LAYERS:
        raise ValueError(f"{where} has no counterpart in backpass.nn here")
    own = arrays.get(entry.place, [])
    try:
        made = [LAYERS[kind](config, own, rank)]
        if kind in ACTIVATED:
            made.append(activation(config["activation"], rank))
        config.finish()
    except KeyError as error:
        raise ValueError(f"{where} cannot be taken over: {error} is missing") from None
    except IndexError:
        many = f"it has {len(own)} arrays in the file, expected more, or of more dimensions"
        raise ValueError(f"{where} cannot be taken over: {many}") from None
    except (ValueError, TypeError, AttributeError) as error:  # of settings of another kind
        raise ValueError(f"{where} cannot be taken over: {error}") from None
    return made
