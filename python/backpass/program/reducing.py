"""What symbolic tensors do along dimensions: sums, means, largest elements, softmax."""

from collections.abc import Sequence
from math import prod
from typing import Any, Self

import numpy as np

from ..ops import softmax_forward
from .operators import Operators
from .reductions import largest, largest_shared, total
from .shapes import Shapes
from .symbolic_base import SymbolicBase


class Reducing(Operators, Shapes):
    """Over one, several or all dimensions; `keepdim` leaves them with size 1."""

    def sum(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Self:
        """The sum over one, several or all dimensions."""
        return self._total(dim, keepdim, 1.0)

    def mean(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Self:
        """The mean over one, several or all dimensions."""
        count = prod(self.shape[axis] for axis in self._axes(dim))
        return self._total(dim, keepdim, 1 / count if count else float("nan"))

    def var(
        self, dim: int | Sequence[int] | None = None, unbiased: bool = True, keepdim: bool = False
    ) -> Self:
        """The variance over one, several or all dimensions, divided by n - 1, or by n with unbiased=False."""
        axes = self._axes(dim)
        count = prod(self.shape[axis] for axis in axes) - unbiased
        apart = self - self.mean(axes, keepdim=True)
        return (apart * apart)._total(axes, keepdim, 1 / count if count > 0 else float("nan"))

    def std(
        self, dim: int | Sequence[int] | None = None, unbiased: bool = True, keepdim: bool = False
    ) -> Self:
        """The square root of the variance."""
        return self.var(dim, unbiased, keepdim).sqrt()

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element; with dim the largest along it and where it is; with a tensor, element by element."""
        if isinstance(dim, SymbolicBase | np.ndarray):
            return self._apply("maximum", self, dim)
        if dim is None:
            return self.amax(None)
        axes = self._axes(dim)
        values, places = largest(self.builder, self._number, axes)
        found = [self._next(t, 0 not in axes) for t in (values, places)]
        return tuple(x._with(axes) if keepdim else x for x in found)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest element; with dim the smallest along it and where it is; with a tensor, element by element."""
        if isinstance(dim, SymbolicBase | np.ndarray):
            return self._apply("minimum", self, dim)
        if dim is None:
            return -(-self).amax(None)
        values, places = (-self).max(dim, keepdim)
        return -values, places

    def amax(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Self:
        """The largest element over one, several or all dimensions; equal ones share the gradient."""
        axes = self._axes(dim)
        top = self._next(largest_shared(self.builder, self._number, axes), 0 not in axes)
        return top._with(axes) if keepdim else top

    def amin(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Self:
        """The smallest element over one, several or all dimensions; equal ones share the gradient."""
        return -(-self).amax(dim, keepdim)

    def argmax(self, dim: int = -1, keepdim: bool = False) -> Self:
        """Where the first of the largest elements along dim is."""
        places = self.detach().max(dim, keepdim)[1]
        assert isinstance(places, type(self))
        return places

    def _total(self, dim: Any, keepdim: bool, scale: float) -> Self:
        axes = self._axes(dim)
        summed = self._next(total(self.builder, self._number, axes, scale), 0 not in axes)
        return summed._with(axes) if keepdim else summed

    def softmax(self, dim: int = -1) -> Self:
        """eˣ / Σ eˣ over dim."""
        return self._softmax(dim, log=False)

    def log_softmax(self, dim: int = -1) -> Self:
        """x - log Σ eˣ over dim."""
        return self._softmax(dim, log=True)

    def _softmax(self, dim: int, log: bool) -> Self:
        axis = self._axis(dim)
        last = self if axis == self.ndim - 1 else self.transpose(axis, -1)
        y = last._next(self.builder.emit(softmax_forward, x=last._number, log=log))
        return y if last is self else y.transpose(axis, -1)

    def logsumexp(self, dim: int | Sequence[int], keepdim: bool = False) -> Self:
        """log Σ eˣ over dim."""
        top = self.detach().amax(dim, keepdim=True)
        summed = (self - top).exp().sum(dim, keepdim=True).log() + top
        return summed if keepdim else summed._without(self._axes(dim))
