"""One chunk of data: (X, y) or (X, y, sample_weight), of arrays or of paths of .npy files."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from ..checks import as_path, is_number
from ..data.inputs import Inputs
from ..data.streams import Streams
from ..engine.engine import Engine
from ..engine.inputs import checked_data
from ..program import Rows

EXPECTED = "expected a pair (X, y) or a triple (X, y, sample_weight), of arrays or of paths of .npy files"


def comes_in_chunks(X: Any, y: Any) -> bool:
    """Whether X has its targets in it, as a sequence of chunks has."""
    return y is None and not hasattr(X, "__array__") and not isinstance(X, Streams)


def is_sequence_of_chunks(X: Any) -> bool:
    """Whether X has len() and [i] and is neither an array nor a dict."""
    sequence = hasattr(X, "__len__") and hasattr(X, "__getitem__")
    return sequence and not hasattr(X, "__array__") and not isinstance(X, Mapping)


def unpacked(name: str, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """X, y and sample_weight, which a TensorDataset of PyTorch's in the place of X has in itself."""
    if y is not None or not hasattr(X, "tensors"):
        return X, y, sample_weight
    arrays = [*X.tensors, *([] if sample_weight is None else [sample_weight])]
    if len(X.tensors) < 2 or len(arrays) > 3:
        raise ValueError(
            f"{name} is a dataset of {len(X.tensors)} tensors, expected X, y and at most sample_weight"
        )
    return arrays[0], arrays[1], arrays[2] if len(arrays) > 2 else None


def are_chunks(data: Any) -> bool:
    """Whether a tuple or list holds chunks, rather than being one."""
    return isinstance(data, tuple | list) and len(data) > 0 and all(map(_is_chunk, data))


def _is_chunk(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) in (2, 3) and all(map(_is_data, value))


def _is_data(item: Any) -> bool:
    """Whether it is an array or the path of one, or a dict or a tuple of such."""
    if isinstance(item, Mapping | tuple) and item:
        return all(map(_is_data, item.values() if isinstance(item, Mapping) else item))
    return hasattr(item, "__array__") or isinstance(item, str | PathLike)


def prefetch(chunks: Any, number: int) -> None:
    """Tell a sequence of chunks, where it has `prefetch`, which one comes next."""
    begin = getattr(chunks, "prefetch", None)
    if callable(begin) and number < len(chunks):
        begin(number)


def checked_chunk(
    engine: Engine, name: str, chunk: Any, class_weight: Any = None
) -> tuple[Inputs, Rows, np.ndarray | None]:
    """The inputs, targets and weights of one chunk; complaints begin with its name."""
    if not isinstance(chunk, tuple | list) or len(chunk) not in (2, 3):
        raise ValueError(f"{name} is a {type(chunk).__name__}, {EXPECTED}")
    if is_number(chunk[1]) or getattr(chunk[1], "ndim", 1) == 0:
        raise ValueError(f"{name} is a single row, expected a chunk of many: arrays of their X and their y")
    X, y, weight = (*(mapped(name, item) for item in chunk), None)[:3]
    try:
        return checked_data(engine, X, y, weight, class_weight)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def mapped(name: str, data: Any) -> Any:
    """A path of a .npy file as a memory map, those in a dict or a tuple too; all else as it is."""
    if isinstance(data, Mapping):
        return {key: mapped(f"{name}[{key!r}]", value) for key, value in data.items()}
    if isinstance(data, tuple):
        return tuple(mapped(name, value) for value in data)
    if isinstance(data, str | PathLike):
        return np.load(as_path(name, data), mmap_mode="r", allow_pickle=False)
    return data
