"""What counts as a number, an integer, a name or a flag where users pass one; the callers say what they expected."""

import math
import os
from typing import Any

import numpy as np


def real(value: Any) -> float:
    """A Python or NumPy number as a float, infinite where it is too large; NaN for all else, which no range holds."""
    if is_number(value):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return math.nan


def is_number(value: Any) -> bool:
    """Whether this is a Python or NumPy number, NaN and infinity among them."""
    return is_whole(value) or isinstance(value, float | np.floating)


def is_whole(value: Any) -> bool:
    """Whether this is an integer; a bool is none, nor is NumPy's timedelta64, which says it is."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64)


def is_name(value: Any, known: Any) -> bool:
    """Whether this is one of the known strings."""
    return isinstance(value, str) and value in known


def flag(name: str, value: Any) -> bool:
    """A bool, or an integer or None in its place."""
    if value is not None and not isinstance(value, bool | np.bool_ | int):
        raise TypeError(f"{name} is {value!r}, expected True or False")
    return bool(value)


def as_path(name: str, value: Any) -> str:
    """A path as text. A number is none, though `open` would take it for a file descriptor."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise TypeError(f"{name} is {value!r}, expected a str or a path")
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise ValueError(f"{name} is {path!a:.80}, which no file can be called")
    return path
