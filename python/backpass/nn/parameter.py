"""Parameter: a learned array that a module declares, its initial values, and its place in a model."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, NoReturn

import numpy as np

from ..checks import flag


class Parameter:
    """Learned array of a module (PyTorch's `nn.Parameter`): `self.scale = nn.Parameter(np.ones(8))` in `__init__`.

    Args:
        data: the initial values, an array of numbers of any shape.

    Raises:
        TypeError: data is no array of numbers.

    Example:
        >>> nn.Parameter(np.zeros((2, 3)))
        Parameter of shape (2, 3)
    """

    def __init__(self, data: Any) -> None:
        values = np.array(data)
        if values.dtype.kind not in "fiub":
            raise TypeError(f"Parameter: data is {data!r:.80}, expected an array of numbers")
        self._declare(values.shape, partial(_given, values), 1)

    @classmethod
    def declared(
        cls,
        shape: tuple[int, ...],
        draw: Callable[[np.random.Generator, tuple[int, ...], int], Any],
        fan_in: int,
        shown: tuple[int, ...] | None,
        axes: tuple[int, ...] | None,
    ) -> Parameter:
        """A parameter whose values are drawn when bp.Model makes them."""
        new = object.__new__(cls)
        new._declare(shape, draw, fan_in, shown, axes)
        return new

    def _declare(
        self,
        shape: tuple[int, ...],
        draw: Callable[[np.random.Generator, tuple[int, ...], int], Any],
        fan_in: int,
        shown: tuple[int, ...] | None = None,
        axes: tuple[int, ...] | None = None,
    ) -> None:
        self.stored, self.draw, self.fan_in = shape, draw, fan_in
        # The shape that users see; a view has it, behind the transposition.
        turned = shape if axes is None else tuple(shape[axis] for axis in axes)
        self.shown = turned if shown is None else shown
        # Users see the array transposed so; None: as it is.
        self.axes = axes
        # Whether its gradient is that of some rows, the others of which an update leaves as they are.
        self.sparse = False
        # Its place in a model's flat vector, and the module that draws its values.
        self.number: int | None = None
        self.home: Any = None
        self._requires_grad = True

    @property
    def requires_grad(self) -> bool:
        """False: frozen, so that it has no gradient and no update; acts at the next step."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, trained: bool) -> None:
        chosen = flag("requires_grad", trained)
        if chosen != self._requires_grad:
            self._requires_grad = chosen
            if self.home is not None:
                self.home.hear_of_frozen(self)

    def as_shown(self, array: np.ndarray) -> np.ndarray:
        """The stored array as users see it: a view."""
        turned = array if self.axes is None else array.transpose(self.axes)
        return turned.reshape(self.shown)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that users see."""
        return self.shown

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    def __repr__(self) -> str:
        return f"Parameter of shape {self.shape}"

    def _no_values(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"a {self!r} has no values yet: bp.Model(...) makes the weights")

    __array__ = __getitem__ = __setitem__ = __add__ = __mul__ = __sub__ = __matmul__ = _no_values

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"a {self!r} has no values yet, and no {name!r}: bp.Model(...) makes the weights"
        )


def _given(values: np.ndarray, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Initial values that are drawn from nothing."""
    return values
