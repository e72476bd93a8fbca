"""Arrays as PyTorch's functions make them: constants of a program where they meet a tensor of `forward`."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


def zeros(*size: Any) -> np.ndarray:
    """An array of zeros: a constant where it meets a tensor."""
    return np.zeros(_sizes(size))


def ones(*size: Any) -> np.ndarray:
    """An array of ones: a constant where it meets a tensor."""
    return np.ones(_sizes(size))


def full(size: int | Sequence[int], fill_value: float) -> np.ndarray:
    """An array whose elements are all fill_value: a constant where it meets a tensor."""
    return np.full(size, float(fill_value))


def eye(n: int, m: int | None = None) -> np.ndarray:
    """An array with ones on its diagonal, else zeros: a constant where it meets a tensor."""
    return np.eye(n, m)


def arange(*bounds: float) -> np.ndarray:
    """An array of numbers from start to end: a constant where it meets a tensor."""
    return np.arange(*bounds)


def linspace(start: float, end: float, steps: int) -> np.ndarray:
    """An array of so many numbers from start to end, both included: a constant where it meets a tensor."""
    return np.linspace(start, end, steps)


def tensor(data: Any) -> np.ndarray:
    """An array of the numbers in data: a constant where it meets a tensor of forward."""
    return np.array(data)
