"""From the path of an ONNX file to a network, and whether it computes what its inputs promise."""

import os
from collections.abc import Sequence

import numpy as np

from ...engine.engine import Engine
from ...engine.plans import NOT_FITTING
from ...errors import CheckpointError
from ...program import InputSpec
from .net import OnnxNet
from .read import read
from .readers import WRONG


def network(path: str | os.PathLike[str], outputs: str | Sequence[str] | None) -> tuple[str, OnnxNet, str]:
    """The path, the network and the dtype of its numbers; CheckpointError says what is wrong."""
    place, description = read(path, outputs)
    try:
        return place, OnnxNet(description), description.dtype
    except WRONG as error:
        raise CheckpointError(f"{place} cannot be read: {error}") from error


def check(place: str, engine: Engine) -> None:
    """CheckpointError if the network cannot be computed for inputs of the sizes that the file has."""
    assert isinstance(engine.net, OnnxNet)
    inputs = []
    for one in engine.net.description.inputs:
        sizes = [size for size in one.sizes[1:] if size is not None]
        if len(sizes) < len(one.sizes) - 1:
            return  # the first rows tell
        dtype = np.dtype(np.int64) if one.integers else engine.dtype
        inputs.append(InputSpec(one.name, (1, *sizes), dtype))
    try:
        engine.plans.output_shape(tuple(inputs))
    except ValueError as error:
        what = str(error).removeprefix(NOT_FITTING)
        raise CheckpointError(f"{place} cannot be computed: {what}") from error
    except MemoryError as error:
        raise CheckpointError(f"{place} needs more memory than there is: {error}") from None
