"""What counts as a number, an integer, a name or a flag where users pass one; the callers say what they expected."""

import math
import os
from typing import Any, Literal

import numpy as np


def real(value: Any) -> float:
    """A Python or NumPy number as a float, infinite where it is too large; NaN for all else, which no range holds."""
    if type(value) is float:
        return value
    if is_number(value):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return math.nan


def is_number(value: Any) -> bool:
    """Whether this is a Python or NumPy number, NaN and infinity among them."""
    return isinstance(value, float) or is_whole(value) or isinstance(value, np.floating)


def is_whole(value: Any) -> bool:
    """Whether this is an integer; a bool is none, nor is NumPy's timedelta64, which says it is."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64)


def is_name(value: Any, names: Any) -> bool:
    """Whether this is one of the known strings."""
    return isinstance(value, str) and value in names


def flag(name: str, value: Any) -> bool:
    """A bool, or an integer or None in its place."""
    if value is not None and not isinstance(value, bool | np.bool_ | int):
        raise TypeError(f"{name} is {value!r}, expected True or False")
    return bool(value)


def as_path(name: str, value: Any) -> str:
    """A path as text, `~` expanded. A number is none, though `open` would take it for a file descriptor."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise TypeError(f"{name} is {value!r}, expected a str or a path")
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise ValueError(f"{name} is {path!a:.80}, which no file can be called")
    return os.path.expanduser(path)


def whole(name: str, value: Any, low: int, high: int | None = None, expected: str = "an integer") -> int:
    """An integer, NumPy's included; a bool is none."""
    if not is_whole(value) or value < low or (high is not None and value > high):
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} is {value!r}, expected {expected} {limits}")
    return int(value)


def seed(value: Any) -> int:
    """What fixes all that is random."""
    return whole("seed", value, 0, 2**63 - 1)


def dtype(value: Any) -> np.dtype[Any]:
    """float32 or float64."""
    try:
        numpy_dtype = np.dtype("O" if value is None else value)
    except (TypeError, ValueError):
        numpy_dtype = np.dtype("O")
    if numpy_dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype is {value!r}, expected 'float32' or 'float64'")
    return numpy_dtype


def seconds(name: str, value: Any) -> float | None:
    """A duration, or None for no limit."""
    number = real(value)
    if value is not None and not number >= 0:
        raise ValueError(f"{name} is {value!r}, expected None or a number of at least 0")
    return None if value is None else number


# In the place of a sampler: rows of about the same length together.
BY_LENGTH = "by length"


def sampler(value: Any, shuffle: bool) -> str | None:
    """How an epoch chooses its rows, or None for each row once."""
    if value is None:
        return None
    if not is_name(value, ("balanced",)):
        raise ValueError(f"sampler is {value!r}, expected None or 'balanced'")
    if not shuffle:
        raise ValueError(f"sampler is {value!r} and shuffle is False; a sampler has an order of its own")
    return str(value)


def fraction(name: str, value: Any) -> float:
    """A share of all, from 0 to below 1."""
    number = real(value)
    if not 0 <= number < 1:
        raise ValueError(f"{name} is {value!r}, expected a number from 0 to below 1")
    return number


def progress(value: Any, verbose: Any) -> Literal["", "bar", "lines"]:
    """How a run shows its progress, of `progress` and Keras's `verbose`."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"progress is {value!r}, expected True or False")
    if verbose is None:
        return "bar" if value else ""
    if isinstance(verbose, bool | np.bool_):
        verbose = int(verbose)
    if not (is_whole(verbose) and verbose in (0, 1, 2)) and not is_name(verbose, ("auto",)):
        raise ValueError(
            f"verbose is {verbose!r}, expected 0 (nothing), 1 or 'auto' (a bar) or 2 (a line for each epoch)"
        )
    if verbose == 0:
        return ""
    return "lines" if verbose == 2 else "bar"
