"""A weight of a file as a parameter."""

from typing import NamedTuple

import numpy as np

from ...nn.parameter import Parameter


class Learned(NamedTuple):
    """A parameter: its values as users see them, the shape in memory, and the axes that turn that into theirs."""

    values: np.ndarray
    stored: tuple[int, ...]
    axes: tuple[int, ...] | None = None

    def parameter(self) -> Parameter:
        """It as nn has it."""
        turned = self.stored if self.axes is None else tuple(self.stored[axis] for axis in self.axes)
        values = self.values.reshape(turned)
        values = values if self.axes is None else values.transpose(np.argsort(self.axes))
        draw = Values(np.ascontiguousarray(values))
        return Parameter.declared(self.stored, draw, 1, self.values.shape, self.axes)


class Values:
    """Initial values that are drawn from nothing."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
        return self.values
