"""What symbolic tensors do along dimensions: sums, means, largest elements, softmax."""

from collections.abc import Sequence
from math import prod
from typing import Any, Self

import numpy as np

from ..ops import softmax_forward
from .operators import Operators
from .rearranged import Rearranged
from .reductions import largest, largest_shared, total
from .symbolic_base import SymbolicBase
from .tensor import Tensor
from .views import cat


class Reducing(Operators, Rearranged):
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
        return self.var(dim, unbiased, keepdim)._root()

    def norm(self, p: float | str = 2, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Self:
        """The Euclidean norm over one, several or all dimensions; Σ |x| with p=1, the largest |x| with p=inf."""
        if p not in (1, 2, "fro", float("inf")):
            raise ValueError(f"norm: p is {p!r}, expected 1, 2, 'fro' or inf")
        if p not in (2, "fro"):
            return self.abs().sum(dim, keepdim) if p == 1 else self.abs().amax(dim, keepdim)
        return (self * self).sum(dim, keepdim)._root()

    def _root(self) -> Self:
        """The square root of a sum of squares: where all are 0 its slope is infinite, and that of the whole 0, as in PyTorch."""
        # A NaN stays one.
        none = self._apply("eq", self, 0.0)
        return self._apply("where", none, 0.0, self._apply("where", none, 1.0, self).sqrt())

    def prod(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """The product along one dimension, or of all elements."""
        if dim is None:
            return self.reshape([self.numel()]).prod(0)
        axis = self._axis(dim)
        parts: list[Self] = [*self.unbind(axis)]
        while len(parts) > 1:
            parts = [a * b for a, b in zip(parts[::2], parts[1::2], strict=False)] + parts[
                len(parts) - len(parts) % 2 :
            ]
        if not parts:
            raise ValueError(
                f"prod: dimension {axis} of {self.shape} is empty, expected at least one element"
            )
        return parts[0].unsqueeze(axis) if keepdim else parts[0]

    def cumsum(self, dim: int) -> Self:
        """Sums of the elements along dim up to each one, by log₂ n additions of what is moved on by 1, 2, 4, ..."""
        axis = self._axis(dim)
        x, step = self, 1
        before = (slice(None),) * axis
        while step < self.shape[axis]:
            moved = x[(*before, slice(0, -step))]
            zeros = Tensor(np.zeros([*x.shape[:axis], step, *x.shape[axis + 1 :]], self.builder.dtype))
            x = x + x._next(cat(x.builder, [zeros, moved.tensor], axis), axis != 0)
            step *= 2
        return x

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
