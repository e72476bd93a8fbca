"""What users pass as X, y and weights, turned into arrays that the programs can read; every complaint names the argument."""

import mmap
from typing import Any

import numpy as np

from .contract import NUMBERS
from .losses import Loss

MAX_DIMS = 6  # what the C++ kernels take
CHUNK = 1 << 22  # elements looked at at a time: a memory-mapped X larger than memory is fine


def as_array(name: str, value: Any) -> np.ndarray:
    """Any array-like as a NumPy array, without a copy where that is possible."""
    array = read(name, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected numbers (float32, float64 or integers)")
    return array


def read(name: str, value: Any) -> np.ndarray:
    """Whatever NumPy can read, of any dtype."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise ValueError(f"{name} is a masked array with masked values, expected plain numbers")
        value = value.data
    if isinstance(value, np.ndarray):
        return np.asarray(value)  # no subclass: it may compute something else
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (TypeError, ValueError, BufferError) as error:
        raise type(error)(f"{name} cannot be read as an array: {error}") from None


def features(X: Any, dtype: Any, check: bool = True) -> np.ndarray:
    """X as a C-contiguous array of the model's dtype, (N, ...); checked for NaN and infinity."""
    array = rows_of(X)
    if check and array.dtype.kind == "f":
        check_finite("X", array)
    return cast("X", array, dtype) if check else quiet_cast(array, dtype)


def rows_of(X: Any) -> np.ndarray:
    """X as an array (N, ...) of numbers, of whatever dtype and order they are."""
    array = as_array("X", X)
    if array.ndim < 2:
        raise ValueError(f"X has shape {array.shape}, expected (N, features) or (N, ...)")
    if 0 in array.shape[1:]:
        raise ValueError(f"X is empty (shape {array.shape}), expected at least one row and one feature")
    if array.ndim > MAX_DIMS:
        raise ValueError(f"X has {array.ndim} dimensions (shape {array.shape}), expected at most {MAX_DIMS}")
    return array


def readable(X: Any, dtype: Any) -> np.ndarray:
    """X as it is, checked as `features` does: no copy of it is made, however large it is."""
    array = rows_of(X)
    if array.dtype.kind == "f":
        check_finite("X", array)
        if np.dtype(dtype).itemsize < array.dtype.itemsize:
            check_finite("X", array, f" (a number too large for {np.dtype(dtype)})", dtype)
    return array


def stored(X: Any, dtype: Any) -> np.ndarray:
    """X as `gather` reads it, checked: as it is where its numbers take no more room than in dtype, or lie in a mapped file.

    Wider ones in memory are converted once: each epoch would read more than of a copy.
    """
    array = rows_of(X)
    if array.dtype == bool:
        array = array.view(np.uint8)
    fits = array.dtype in NUMBERS and array.flags.c_contiguous and array.flags.aligned
    narrow = array.dtype.itemsize <= np.dtype(dtype).itemsize
    return (readable if fits and (narrow or is_mapped(array)) else features)(array, dtype)


def is_mapped(array: Any) -> bool:
    """Whether it is a memory map of a file, or a part of one."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def quiet_cast(array: np.ndarray, dtype: Any) -> np.ndarray:
    """C-contiguous, of another dtype; a number that is too large for it becomes infinite without a warning."""
    with np.errstate(all="ignore"):
        return plain(np.ascontiguousarray(array, dtype=dtype))


def plain(array: np.ndarray) -> np.ndarray:
    """A C-contiguous array itself, or a copy where its data are not aligned, as in a map of a file with a header."""
    return array if array.flags.aligned else array.copy()


def cast(name: str, array: np.ndarray, dtype: Any) -> np.ndarray:
    """The same, but a finite number that is too large is an error."""
    out = quiet_cast(array, dtype)
    if out.dtype.kind == "i" and not np.array_equal(out.reshape(array.shape), array):
        raise ValueError(f"{name} holds numbers that are no {out.dtype}, expected integers")
    if array.dtype.kind == "f" and out.dtype.itemsize < array.dtype.itemsize:
        with np.errstate(all="ignore"):
            lost = not sum_is_finite(out) and bool((np.isfinite(array) & ~np.isfinite(out)).any())
        if lost:
            check_finite(name, out, f" (a number too large for {out.dtype})")
    return out


def sum_is_finite(array: np.ndarray) -> bool:
    """Whether all numbers are finite, at the speed of memory. May say no where only the sum overflows."""
    # einsum sums in one pass without a temporary, in the order of the axes; sum(dtype=float64) takes five times as long.
    if array.ndim and array.strides[0] < array.strides[-1]:
        array = array.T
    return bool(np.isfinite(np.einsum(array, list(range(array.ndim)), [])))


def check_finite(name: str, array: np.ndarray, why: str = "", dtype: Any = None) -> None:
    """Find the first NaN or infinity, of the array or of what it is in another dtype, in one pass."""
    rows = max(CHUNK // max(array[:1].size, 1), 1)
    for start in range(0, len(array), rows):
        chunk = array[start : start + rows]
        if dtype is not None:
            chunk = quiet_cast(chunk, dtype)
        with np.errstate(all="ignore"):
            if sum_is_finite(chunk):
                continue
        finite = np.isfinite(chunk)
        if not finite.all():
            where = np.argwhere(~finite)[0]
            place = f"row {start + int(where[0])}" + (f", column {int(where[1])}" if array.ndim == 2 else "")
            if array.ndim > 2:
                place += f", position {tuple(int(i) for i in where[1:])}"
            raise ValueError(f"{name} holds {chunk[tuple(where)]} at {place}{why}, expected finite numbers")


def check_rows(name: str, array: np.ndarray, rows: int) -> None:
    """The same number of rows as X."""
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} rows, but X has {rows}")


def targets(y: Any, loss: Loss, output: tuple[int, ...], dtype: np.dtype[Any], rows: int) -> np.ndarray:
    """y as the loss wants it, checked."""
    array = as_array("y", y)
    if array.ndim == 0:
        raise ValueError("y is a single number, expected one target for each row of X")
    check_rows("y", array, rows)
    if array.dtype.kind == "f":
        check_finite("y", array if array.ndim > 1 else array[:, None])
    with np.errstate(all="ignore"):
        out = plain(loss.targets(array, output, dtype))
    if out.dtype.kind == "f" and array.dtype.kind == "f":
        check_finite("y", out, f" (a number too large for {out.dtype})")
    return out


def own_targets(y: Any, rows: int) -> np.ndarray:
    """y for a callable loss: any array with a row for each row of X."""
    array = read("y", y)
    if array.ndim == 0:
        raise ValueError("y is a single value, expected one target for each row of X")
    check_rows("y", array, rows)
    return array


def row_weights(
    sample_weight: Any, class_weight: Any, y: np.ndarray, dtype: np.dtype[Any], classes: int
) -> np.ndarray | None:
    """sample_weight times class_weight for each row of predictions, (N, ...); None if neither is given."""
    if sample_weight is None and class_weight is None:
        return None
    rows = y.shape if y.dtype == np.int64 else y.shape[:-1]
    weight = np.ones(len(y), dtype)
    if sample_weight is not None:
        given = as_array("sample_weight", sample_weight)
        if given.shape != (len(y),):
            raise ValueError(f"sample_weight has shape {given.shape}, expected ({len(y)},)")
        check_finite("sample_weight", given[:, None])
        if (given < 0).any():
            raise ValueError(f"sample_weight holds {given.min()}, expected numbers of at least 0")
        weight = cast("sample_weight", given, dtype)
    weight = np.broadcast_to(weight.reshape(-1, *[1] * (len(rows) - 1)), rows)
    if class_weight is not None:
        by_class = per_class(class_weight, class_counts(y, classes)).astype(dtype)
        labels = class_labels(y, classes)[0]
        known = (labels >= 0) & (labels < len(by_class))  # not the targets that the loss ignores
        weight = weight * np.where(known, by_class[np.where(known, labels, 0)], 1)
    return np.ascontiguousarray(weight)


def class_counts(y: np.ndarray, classes: int) -> np.ndarray:
    """How many targets each class has, without those that the loss ignores."""
    labels, classes = class_labels(y, classes)
    return np.bincount(labels[(labels >= 0) & (labels < classes)], minlength=classes)


def class_labels(y: np.ndarray, classes: int) -> tuple[np.ndarray, int]:
    """Targets as class indices, and how many classes there are: two where a single output is asked for 0 or 1."""
    if y.dtype == np.int64:
        return y, classes
    if y.size != len(y) or not ((y == 0) | (y == 1)).all():
        raise ValueError(
            "class_weight is given, but y holds neither class indices nor one 0 or 1 for each row"
        )
    return y.reshape(-1).astype(np.int64), 2


def per_class(class_weight: Any, counts: np.ndarray) -> np.ndarray:
    """The weight of each class; counts: of the targets, by class."""
    classes = len(counts)
    if isinstance(class_weight, str) and class_weight == "balanced":
        return np.asarray(counts.sum() / (max(int((counts > 0).sum()), 1) * np.maximum(counts, 1)))
    if isinstance(class_weight, dict):
        if unknown := [c for c in class_weight if c not in range(classes)]:
            raise ValueError(f"class_weight names class {unknown[0]!r}, expected classes 0 to {classes - 1}")
        class_weight = [class_weight.get(c, 1.0) for c in range(classes)]
    elif isinstance(class_weight, str):
        raise ValueError(
            f"class_weight is {class_weight!r}, expected a dict, 'balanced' or ({classes},) numbers"
        )
    weights = as_array("class_weight", class_weight)
    if weights.shape != (classes,):
        raise ValueError(
            f"class_weight has shape {weights.shape}, expected a dict, 'balanced' or ({classes},) numbers"
        )
    if wrong := [(c, w) for c, w in enumerate(weights.tolist()) if not 0 <= w < np.inf]:
        raise ValueError(
            f"class_weight is {wrong[0][1]} for class {wrong[0][0]}, expected finite numbers of at least 0"
        )
    return np.asarray(weights, np.float64)
