"""Arrays as PyTorch's functions make them: constants of a program where they meet a tensor of `forward`."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def _placed(device: Any) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f"device is {device!r:.60}, expected 'cpu': backpass trains on the CPU")


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


def zeros(*size: Any, dtype: Any = None, device: Any = None) -> np.ndarray:
    """An array of zeros: a constant where it meets a tensor."""
    _placed(device)
    return np.zeros(_sizes(size), dtype or np.float64)


def ones(*size: Any, dtype: Any = None, device: Any = None) -> np.ndarray:
    """An array of ones: a constant where it meets a tensor."""
    _placed(device)
    return np.ones(_sizes(size), dtype or np.float64)


def full(
    size: int | Sequence[int], fill_value: float, *, dtype: Any = None, device: Any = None
) -> np.ndarray:
    """An array whose elements are all fill_value: a constant where it meets a tensor."""
    _placed(device)
    return np.full(size, fill_value, dtype or np.float64)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None) -> np.ndarray:
    """An array with ones on its diagonal, else zeros: a constant where it meets a tensor."""
    _placed(device)
    return np.eye(n, m, dtype=dtype or np.float64)


def arange(*bounds: float, dtype: Any = None, device: Any = None) -> np.ndarray:
    """An array of numbers from start to end: a constant where it meets a tensor."""
    _placed(device)
    return np.arange(*bounds, dtype=dtype)


def linspace(start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None) -> np.ndarray:
    """An array of so many numbers from start to end, both included: a constant where it meets a tensor."""
    _placed(device)
    return np.linspace(start, end, steps, dtype=dtype or np.float64)


def tensor(data: Any, *, dtype: Any = None, device: Any = None) -> np.ndarray:
    """An array of the numbers in data: a constant where it meets a tensor of forward."""
    _placed(device)
    return np.array(data, dtype)
