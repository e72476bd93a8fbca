"""The same numbers in other clothes: strides, orders, dtypes, protocols; and arrays that are wrong on purpose."""

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = tempfile.TemporaryDirectory()  # for memory maps; removed at exit
SPECIAL = [0.0, -0.0, 1e-45, -1e-40, 1e-310, 1e30, -1e30, 3.4e38, 1e39, -1e308, np.nan, np.inf, -np.inf]


@dataclass
class Holder:
    """Something that has an array."""

    held: np.ndarray

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.held if dtype is None else self.held.astype(dtype)


@dataclass
class Exporter:
    """Something that speaks DLPack and nothing else."""

    held: np.ndarray

    def __dlpack__(self, **options: Any) -> Any:
        return self.held.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.held.__dlpack_device__()


class Subclass(np.ndarray):
    """A subclass that does nothing."""


def strided(a: np.ndarray) -> np.ndarray:
    """Every second element of a larger array."""
    whole = np.full([2 * n for n in a.shape], 99, a.dtype)
    whole[tuple(slice(None, None, 2) for _ in a.shape)] = a
    return whole[tuple(slice(None, None, 2) for _ in a.shape)]


def backwards(a: np.ndarray) -> np.ndarray:
    """Negative strides."""
    turn = tuple(slice(None, None, -1) for _ in a.shape)
    return np.ascontiguousarray(a[turn])[turn] if a.ndim else a


def read_only(a: np.ndarray) -> np.ndarray:
    """No writing."""
    a = a.copy()
    a.flags.writeable = False
    return a


def unaligned(a: np.ndarray) -> np.ndarray:
    """One byte off."""
    raw = np.zeros(a.nbytes + 1, np.uint8)
    raw[1:] = np.frombuffer(a.tobytes(), np.uint8)
    return raw[1:].view(a.dtype).reshape(a.shape)


def mapped(a: np.ndarray) -> np.ndarray:
    """A file, mapped; there is no empty map."""
    if not a.nbytes or a.dtype.hasobject:
        return a
    path = Path(FOLDER.name) / f"{random.getrandbits(64):x}"
    path.write_bytes(a.tobytes())
    found = np.memmap(path, a.dtype, "r", shape=a.shape)
    path.unlink()
    return found


# The same numbers: the outcome must be that of a plain copy, exceptions included.
SAME: dict[str, Callable[[np.ndarray], Any]] = {
    "plain": np.ndarray.copy,
    "fortran": np.asfortranarray,
    "strided": strided,
    "backwards": backwards,
    "read-only": read_only,
    "unaligned": unaligned,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "mapped": mapped,
    "subclass": lambda a: a.view(Subclass),
    "masked, nothing hidden": lambda a: np.ma.masked_array(a.copy(), False),
    "masked, no mask": lambda a: np.ma.masked_array(a.copy()),
    "__array__": Holder,
    "DLPack": lambda a: Exporter(a.copy()) if a.dtype.kind in "fiu" and a.dtype.itemsize <= 8 else a,
    "memoryview": lambda a: memoryview(np.ascontiguousarray(a)) if a.size and a.dtype != np.longdouble else a,
}


def hidden(a: np.ndarray) -> Any:
    """A masked array with something behind the mask."""
    mask = np.zeros(a.shape, bool)
    mask[(0,) * a.ndim if a.size else ...] = True
    return np.ma.masked_array(a, mask)


# Something else: refused, or the outcome of a plain copy of what NumPy reads in it.
OTHER: dict[str, Callable[[np.ndarray], Any]] = {
    "object": lambda a: a.astype(object),
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(a) if a.ndim else a.item(),
    "masked": hidden,
    "complex": lambda a: a.astype(complex),
    "text": lambda a: a.astype(str),
    "bytes": lambda a: a.astype("S8"),
    "float16": lambda a: a.astype(np.float16),
    "longdouble": lambda a: a.astype(np.longdouble),
    "int8": lambda a: np.nan_to_num(a).astype(np.int8),
    "uint64": lambda a: np.nan_to_num(a).astype(np.uint64),
    "bool": lambda a: a.astype(bool),
    "datetime": lambda a: np.nan_to_num(a).astype("i8").astype("M8[s]"),
    "timedelta": lambda a: np.nan_to_num(a).astype("i8").astype("m8[s]"),
    "records": lambda a: np.zeros(a.shape, [("a", "f4"), ("b", "i8")]),
    "void": lambda a: np.zeros(a.shape, "V4"),
    "ragged": lambda a: [[1.0], [1.0, 2.0]],
    "nothing": lambda a: None,
    "number": lambda a: 1.5,
    "0-d": lambda a: np.array(1.5),
    "word": lambda a: "X",
    "dict": lambda a: {"a": 1},
    "set": lambda a: {1.0, 2.0},
    "generator": lambda a: (x for x in [1.0]),
    "a type": lambda a: float,
    "no rows": lambda a: a[:0],
    "no columns": lambda a: a[..., :0] if a.ndim else a,
    "very many empty rows": lambda a: np.zeros((2**40, 0), a.dtype),
    "one row less": lambda a: a[:-1] if a.ndim else a,
    "one column more": lambda a: np.concatenate([a, a[..., :1]], axis=-1) if a.ndim else a,
    "one dimension more": lambda a: a[None],
    "one dimension at the end": lambda a: a[..., None],
    "flat": lambda a: a.ravel(),
    "8 dimensions": lambda a: a.reshape(*a.shape, *[1] * (8 - a.ndim)),
    "transposed": lambda a: a.T,
    "one number everywhere": lambda a: np.broadcast_to(a.ravel()[:1] if a.size else np.zeros(1), a.shape),
}


def numbers(chance: random.Random, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Plain numbers, in every third case with a few that are extreme or not finite."""
    rng = np.random.default_rng(chance.getrandbits(32))
    out = rng.standard_normal(shape)
    if chance.random() < 0.3 and out.size:
        for place in rng.integers(0, out.size, chance.choice([1, 2, out.size])):
            out.flat[place] = chance.choice(SPECIAL)
    with np.errstate(all="ignore"):
        return (np.nan_to_num(out) if np.dtype(dtype).kind in "iu" else out).astype(dtype)


def disguise(chance: random.Random, a: np.ndarray) -> tuple[str, Any, bool]:
    """The name of a disguise, the array in it, and whether the outcome has to be the same."""
    same = chance.random() < 0.5
    name = chance.choice([*(SAME if same else OTHER)])
    with np.errstate(all="ignore"):
        return name, (SAME if same else OTHER)[name](a), same
