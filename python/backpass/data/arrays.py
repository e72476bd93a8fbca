"""Whatever users pass as numbers, turned into arrays that the programs can read; every complaint names the argument."""

import mmap
from typing import Any

import numpy as np

from ..ops import NUMBERS
from ..ops.contract import MAX_DIMS
from ..program.limits import NO_LIMIT

# Elements looked at at a time: a memory-mapped X larger than memory is fine.
CHUNK = 1 << 22


def as_array(name: str, value: Any) -> np.ndarray:
    """Any array-like as a NumPy array of numbers, without a copy where that is possible."""
    array = read(name, value)
    if array.dtype.kind in "fiub":
        return array
    hint = _what_helps(name, value, array)
    raise TypeError(f"{name} has dtype {array.dtype}, expected numbers (float32, float64 or integers){hint}")


def read(name: str, value: Any) -> np.ndarray:
    """Whatever NumPy can read, of any dtype; the columns of a frame are read one by one where they differ."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise ValueError(f"{name} is a masked array with masked values, expected plain numbers")
        value = value.data
    if isinstance(value, np.ndarray):
        return np.asarray(value)  # no subclass: it may compute something else
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a dense array: {name}.toarray()")
    if hasattr(value, "tensors"):
        raise TypeError(f"{name} is a {type(value).__name__}, expected its arrays: {name}.tensors[0]")
    if getattr(value, "requires_grad", False):
        raise TypeError(f"{name} is a tensor that requires grad, expected {name}.detach()")
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        array = np.asarray(value)
    except (TypeError, ValueError, BufferError, RuntimeError) as error:
        kind = TypeError if isinstance(error, RuntimeError) else type(error)
        raise kind(f"{name} cannot be read as an array: {error}") from None
    return (
        _columns(name, value)
        if array.dtype == object and hasattr(value, "columns")
        else _plain(name, value, array)
    )


def _columns(name: str, frame: Any) -> np.ndarray:
    """A frame whose columns have different dtypes, or nullable ones, as one array of numbers."""
    columns = []
    for place, column in enumerate(frame.columns):
        # By its place, since two columns may have one name.
        values = frame.iloc[:, place] if hasattr(frame, "iloc") else frame[column]
        array = _plain(f"{name}[{column!r}]", values, np.asarray(values))
        if array.dtype.kind not in "fiub":
            what_helps = "one-hot columns of it come from pandas.get_dummies or scikit-learn's OneHotEncoder"
            if array.dtype == object and not any(isinstance(value, str) for value in array[:100]):
                what_helps = "if all of them are numbers, convert them with astype(float)"
            if array.dtype.kind in "mM":
                what_helps = (
                    "make numbers of it, such as (column - column.min()).dt.total_seconds(), or leave it out"
                )
            raise TypeError(f"{name}: column {column!r} holds {values.dtype}, expected numbers; {what_helps}")
        columns.append(array)
    return np.column_stack(columns)


def _plain(name: str, value: Any, array: np.ndarray) -> np.ndarray:
    """A column of a nullable dtype as floats or integers; all else as it is."""
    if array.dtype != object or not hasattr(value, "to_numpy") or getattr(value, "ndim", 0) != 1:
        return array
    kind = str(getattr(value, "dtype", "")).lower()
    if not kind.startswith(("int", "uint", "float", "bool")):
        return array
    missing = np.asarray(value.isna()) if hasattr(value, "isna") else np.zeros(len(array), bool)
    if missing.any():
        raise ValueError(
            f"{name} has no value at row {int(missing.argmax())}, expected numbers: fill or drop such rows"
        )
    return np.asarray(value.to_numpy(dtype=bool if kind == "boolean" else np.dtype(kind).type))


def _what_helps(name: str, value: Any, array: np.ndarray) -> str:
    """What to do about something else in the place of numbers."""
    if array.dtype.kind in "US" or (array.dtype == object and array.size and isinstance(array.flat[0], str)):
        if name.startswith("y"):
            return "; of class names np.unique(y, return_inverse=True)[1], or backpass.sklearn's MLPClassifier, which takes them"
        if name[:1] not in "Xx":
            return ""
        return (
            "; one-hot columns of strings come from pandas.get_dummies or scikit-learn's OneHotEncoder, and an nn.Embedding takes"
            " columns of dtype category"
        )
    if array.dtype.kind in "mM":
        return "; make numbers of dates, such as seconds from the first"
    if array.dtype == object and array.ndim == 0:
        hint = (
            ": give its arrays; fit and evaluate take a sequence of chunks (X, y) without y, too"
            if hasattr(value, "__iter__")
            else ""
        )
        return f"; it is a {type(value).__name__}{hint}"
    if array.dtype == object:
        return f"; if all of them are numbers, {name}.astype(float)"
    return ""


def features(X: Any, dtype: Any, name: str = "X", check: bool = True, columns: Any = None) -> np.ndarray:
    """X as a C-contiguous array of the model's dtype, (N, ...); checked for NaN and infinity. columns: their names."""
    array = rows_of(X, name)
    if check and array.dtype.kind == "f":
        check_finite(name, array, columns=_names_of(X) if columns is None else columns)
    return cast(name, array, dtype) if check else quiet_cast(array, dtype)


def rows_of(X: Any, name: str = "X") -> np.ndarray:
    """X as an array (N, ...) of numbers, of whatever dtype and order they are."""
    array = as_array(name, X)
    if array.ndim < 2:
        hint = f"; one feature is {name}.reshape(-1, 1)" if array.ndim else ""
        raise ValueError(f"{name} has shape {array.shape}, expected (N, features) or (N, ...){hint}")
    if 0 in array.shape[1:]:
        raise ValueError(f"{name} is empty (shape {array.shape}), expected at least one row and one feature")
    _check_dims(array, name)
    return array


def indices(X: Any, name: str = "X") -> np.ndarray:
    """X as int64 indices (N, ...): of an input that a layer takes as such."""
    array = as_array(name, X)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}, expected integers: the network takes it as indices")
    if array.ndim == 0 or 0 in array.shape[1:]:
        raise ValueError(f"{name} has shape {array.shape}, expected (N,) or (N, ...) indices")
    _check_dims(array, name)
    return cast(name, array, np.int64)


def check_range(name: str, array: np.ndarray, limits: np.ndarray) -> None:
    """Find the first index that is not from 0 to its limit - 1; limits: of each element of a row."""
    if not array.size:
        return
    rows = max(CHUNK // max(array[:1].size, 1), 1)
    for start in range(0, len(array), rows):
        chunk = array[start : start + rows]
        flat = chunk.reshape(len(chunk), -1)
        wrong = (flat < 0) | (flat >= limits)
        # Nothing is chosen by an element without a limit.
        wrong &= limits < NO_LIMIT
        if wrong.any():
            row, element = map(int, np.argwhere(wrong)[0])
            place = (
                tuple(int(i) for i in np.unravel_index(element, chunk.shape[1:])) if chunk.ndim > 1 else ()
            )
            at = f", position {place[0] if len(place) == 1 else place}" if place else ""
            raise ValueError(
                f"{name} holds {flat[row, element]} at row {start + row}{at}, expected 0 to {limits[element] - 1}"
            )


def _check_dims(array: np.ndarray, name: str) -> None:
    if array.ndim > MAX_DIMS:
        raise ValueError(
            f"{name} has {array.ndim} dimensions (shape {array.shape}), expected at most {MAX_DIMS}"
        )


def readable(X: Any, dtype: Any, name: str = "X", columns: Any = None) -> np.ndarray:
    """X as it is, checked as `features` does: no copy of it is made, however large it is."""
    array = rows_of(X, name)
    if array.dtype.kind == "f":
        check_finite(name, array, columns=_names_of(X) if columns is None else columns)
        if np.dtype(dtype).itemsize < array.dtype.itemsize:
            check_finite(name, array, f" (a number too large for {np.dtype(dtype)})", dtype)
    return array


def stored(X: Any, dtype: Any, name: str = "X") -> np.ndarray:
    """X as `gather` reads it, checked: as it is where its numbers take no more room than in dtype, or lie in a mapped file.

    Wider ones in memory are converted once: each epoch would read more than of a copy.
    """
    array = rows_of(X, name)
    if array.dtype == bool:
        array = array.view(np.uint8)
    fits = array.dtype in NUMBERS and array.flags.c_contiguous and array.flags.aligned
    narrow = array.dtype.itemsize <= np.dtype(dtype).itemsize
    take = readable if fits and (narrow or is_mapped(array)) else features
    return take(array, dtype, name, columns=_names_of(X))


def _names_of(frame: Any) -> list[Any]:
    """The names of a frame's columns; of an array none."""
    return [*getattr(frame, "columns", ())]


def is_mapped(array: Any) -> bool:
    """Whether it is a memory map of a file, or a part of one."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def quiet_cast(array: np.ndarray, dtype: Any) -> np.ndarray:
    """C-contiguous, of another dtype; a number that is too large for it becomes infinite without a warning."""
    if array.dtype == dtype:
        return plain(np.ascontiguousarray(array))
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


def check_finite(name: str, array: np.ndarray, why: str = "", dtype: Any = None, columns: Any = ()) -> None:
    """Find the first NaN or infinity, of the array or of what it is in another dtype, in one pass. columns: their names."""
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
            element = np.argwhere(~finite)[0]
            place = f"row {start + int(element[0])}"
            if array.ndim == 2:
                column = int(element[1])
                place += f", column {columns[column]!r}" if len(columns) else f", column {column}"
            if array.ndim > 2:
                place += f", position {tuple(int(i) for i in element[1:])}"
            raise ValueError(f"{name} holds {chunk[tuple(element)]} at {place}{why}, expected finite numbers")


def check_rows(name: str, array: np.ndarray, rows: int) -> None:
    """The same number of rows as X."""
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} rows, but X has {rows}")
