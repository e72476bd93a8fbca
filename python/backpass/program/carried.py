"""Carried: state that layers take over from one batch to the next, such as that of a recurrent layer."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..system.memory import aligned

# The name of the count of steps.
STEPS = "steps"


class NotStepwise(ValueError):
    """A network whose output at a step needs more than that step and what is carried on."""


class Window(Protocol):
    """How a network that knows where a step stands is computed a few steps at a time: see program/stepwise.py."""

    steps: int

    def follow(self, builder: Any, steps: int) -> list[Any]: ...


class Carried:
    """Arrays by name, zeros at the start. Programs that were built with it read them, and write them once a batch is done.

    Attributes:
        window: where programs are parts of one over a whole sequence; None: each has a sequence of its own.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray] | None = None, window: Window | None = None) -> None:
        self.window = window
        self.arrays: dict[str, np.ndarray] = {}
        for name, array in (arrays or {}).items():
            self.arrays[name] = aligned(array.shape, array.dtype)
            self.arrays[name][...] = array

    @property
    def steps(self) -> np.ndarray:
        """(1,) the steps of a window that are over."""
        return self.array(STEPS, (1,), np.dtype(np.int64))

    def array(self, name: str, shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray:
        """The state of this name; zeros where it is new."""
        if name not in self.arrays:
            self.arrays[name] = aligned(shape, dtype)
        array = self.arrays[name]
        if array.shape != tuple(shape) or array.dtype != dtype:
            raise ValueError(
                f"the carried state {name} is {array.dtype} {array.shape}, expected {dtype} {tuple(shape)}"
            )
        return array

    def reset(self, rows: Any = slice(None)) -> None:
        """Zeros again, for all rows of the batch or some."""
        for array in self.arrays.values():
            array[rows] = 0

    def copy(self) -> "Carried":
        """The same state in arrays of its own."""
        return Carried(self.arrays, self.window)
