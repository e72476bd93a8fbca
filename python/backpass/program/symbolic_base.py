"""SymbolicBase: what a symbolic tensor is, a place in a program; what it does is in the classes that build on this one."""

from __future__ import annotations

from math import prod
from typing import Any, Self

import numpy as np

from ..checks import is_whole
from ..ops import to_number
from .builder import Builder
from .tensor import Tensor


class SymbolicBase:
    """A tensor of a program, its Builder, and how many of its first dimension belong to a row of the batch."""

    def __init__(self, builder: Builder, tensor: Tensor, per_row: int = 0) -> None:
        self.builder, self.tensor, self.per_row = builder, tensor, per_row

    def _next(self, tensor: Tensor, keeps_rows: bool = True) -> Self:
        """What was computed of this tensor; where it does not keep the rows apart, predict has to take all at once."""
        if self.per_row and not keeps_rows:
            self.builder.whole_batch = True
        return self._of(tensor, self.per_row if keeps_rows else 0)

    def _within(self, builder: Builder) -> Self:
        """This tensor; ValueError where it belongs to another program than this one."""
        if self.builder is not builder:
            raise ValueError("a tensor of another forward: tensors live for one call of it, keep none")
        return self

    def _of(self, tensor: Tensor, per_row: int) -> Self:
        return type(self)(self.builder, tensor, per_row)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    @property
    def _number(self) -> Tensor:
        """The tensor in the program; of indices, numbers of the model's dtype."""
        indices = self.tensor.array.dtype.kind != "f"
        return self.builder.emit(to_number, x=self.tensor) if indices else self.tensor

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.tensor.array.dtype

    @property
    def device(self) -> str:
        """ "cpu": for `device=x.device` where arrays are made."""
        return "cpu"

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[self._axis(dim)]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without dimensions")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"tensor of shape {self.shape}, {self.dtype}"

    def detach(self) -> Self:
        """x, through which no gradient flows back."""
        return self._next(Tensor(self.tensor.array))

    def contiguous(self) -> Self:
        """x itself: a copy is made where an op needs one."""
        return self

    def _axis(self, dim: int) -> int:
        if not is_whole(dim) or not -self.ndim <= dim < self.ndim:
            raise IndexError(
                f"dim is {dim!r}, expected an integer in [{-self.ndim}, {self.ndim - 1}] for {self.shape}"
            )
        return int(dim) % self.ndim

    def _axes(self, dim: Any) -> list[int]:
        """One, several or all (None) dimensions, as they are counted from the front."""
        if dim is None:
            return list(range(self.ndim))
        axes = [self._axis(d) for d in (dim if isinstance(dim, tuple | list) else [dim])]
        if len({*axes}) < len(axes):
            raise ValueError(f"dim is {dim}, expected each dimension once")
        return axes
