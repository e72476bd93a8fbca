"""The safetensors format: the length of a header, the header in JSON, then the bytes of the arrays, one behind the other.

Why not the library of that name: it holds the whole file in memory a second time, and where memory runs out it takes the process
down, in the middle of a run that was to be saved. The tests read and write files with it.
"""

import json
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

MAX_HEADER = 1 << 24  # bytes: room for a hundred thousand tensors
DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4", "I32": "<i4", "F32": "<f4",
    "U64": "<u8", "I64": "<i8", "F64": "<f8",
}  # fmt: skip
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


class Entry(NamedTuple):
    """One array of a file, as its header describes it."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int  # behind the header
    end: int


def encode(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """The length and the header, and the order in which the arrays follow: the widest dtypes first, so that all are aligned."""
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    for name in order:
        array = tensors[name]
        offsets = [start, start + array.nbytes]
        header[name] = {"dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": offsets}
        start += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, order


def raw(array: np.ndarray) -> memoryview:
    """The bytes of an array, little-endian, row after row."""
    plain = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return plain.reshape(-1).view(np.uint8).data


def decode(header: bytes) -> tuple[dict[str, str], list[Entry]]:
    """The metadata and the arrays in the order of the file; ValueError where a header is not what `encode` writes."""
    try:
        document = json.loads(header, object_pairs_hook=_once)
        metadata = document.pop("__metadata__", {})
        entries = [_entry(name, **fields) for name, fields in document.items()]
        sound = all(isinstance(value, str) for value in metadata.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError("its header cannot be read") from error
    entries.sort(key=lambda entry: (entry.start, entry.end))
    ends = [0, *(entry.end for entry in entries)]
    if not sound or [entry.start for entry in entries] != ends[:-1]:
        raise ValueError("its header cannot be read: the tensors do not lie one behind the other")
    return dict(metadata), entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a name stands there twice")
    return mapping


def _entry(name: str, dtype: str, shape: list[int], data_offsets: list[int]) -> Entry:
    kind = np.dtype(DTYPES[dtype])
    start, end = data_offsets
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)) or len(shape) > 32:
        raise ValueError(f"{name} has no sound shape")
    if end - start != prod(shape) * kind.itemsize:
        raise ValueError(f"{name} has another size than its shape")
    return Entry(name, kind, tuple(shape), start, end)
