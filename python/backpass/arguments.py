"""Checks of single arguments: each returns what was given in its own type, or says what was expected."""

from typing import Any

import numpy as np

from .checks import is_name, is_whole, real
from .nn import Layer
from .threads import MOST


def whole(name: str, value: Any, low: int, high: int | None = None, expected: str = "an integer") -> int:
    """An integer, NumPy's included; a bool is none."""
    if not is_whole(value) or value < low or (high is not None and value > high):
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} is {value!r}, expected {expected} {limits}")
    return int(value)


def net(value: Any) -> Layer:
    """A network, not its class nor something else."""
    if not isinstance(value, Layer):
        raise TypeError(f"net is {type(value).__name__}, expected a layer such as nn.Sequential(...)")
    return value


def threads(value: Any) -> int:
    """None becomes 0: the default at the time of the run."""
    return 0 if value is None else whole("threads", value, 1, MOST, "None or an integer")


def seed(value: Any) -> int:
    """What fixes all that is random."""
    return whole("seed", value, 0, 2**63 - 1)


def dtype(value: Any) -> np.dtype[Any]:
    """float32 or float64."""
    try:
        found = np.dtype("O" if value is None else value)
    except (TypeError, ValueError):
        found = np.dtype("O")
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype is {value!r}, expected 'float32' or 'float64'")
    return found


def seconds(name: str, value: Any) -> float | None:
    """A duration, or None for no limit."""
    number = real(value)
    if value is not None and not number >= 0:
        raise ValueError(f"{name} is {value!r}, expected None or a number of at least 0")
    return None if value is None else number


def sampler(value: Any, shuffle: bool) -> str | None:
    """How an epoch chooses its rows, or None for each row once."""
    if value is None:
        return None
    if not is_name(value, ("balanced",)):
        raise ValueError(f"sampler is {value!r}, expected None or 'balanced'")
    if not shuffle:
        raise ValueError("sampler is 'balanced' and shuffle is False; a sampler has an order of its own")
    return str(value)
