"""What symbolic tensors do with their shapes: all of it views, until something needs contiguous memory."""

import operator
from collections.abc import Sequence
from math import prod
from typing import Any, Self

from ..checks import is_whole
from .indexing import Indexing
from .symbolic_base import SymbolicBase
from .views import expand, permute


class Shapes(Indexing):
    """The same elements in another shape or order, parts of them, or repeated."""

    def reshape(self, *shape: Any) -> Self:
        """The same elements in another shape; one size may be -1."""
        sizes = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else list(shape)
        known = prod(size for size in sizes if size != -1)
        if sizes.count(-1) == 1 and known and self.numel() % known == 0:
            sizes[sizes.index(-1)] = self.numel() // known
        if -1 in sizes or prod(sizes) != self.numel():
            raise ValueError(
                f"reshape: {tuple(shape)} does not hold the {self.numel()} elements of {self.shape}"
            )
        y = self.builder.reshape(self.tensor, sizes)
        # A row of the batch keeps its elements together where a whole number of the first dimension belongs to it.
        rows = self.shape[0] // self.per_row if self.per_row else 0
        if not rows or not sizes or sizes[0] % rows:
            return self._next(y, keeps_rows=False)
        return self._of(y, sizes[0] // rows)

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Self:
        """Dimensions start_dim to end_dim as one."""
        start, end = self._axis(start_dim), self._axis(end_dim)
        return self.reshape([*self.shape[:start], prod(self.shape[start : end + 1]), *self.shape[end + 1 :]])

    def unsqueeze(self, dim: int) -> Self:
        """With a dimension of size 1 at this place."""
        place = operator.index(dim) + (self.ndim + 1 if dim < 0 else 0)
        return self[(slice(None),) * place + (None,)]

    def squeeze(self, dim: int | None = None) -> Self:
        """Without the dimensions of size 1, or without this one if its size is 1."""
        gone = [a for a in self._axes(dim) if self.shape[a] == 1]
        return self[tuple(0 if axis in gone else slice(None) for axis in range(self.ndim))]

    def permute(self, *dims: Any) -> Self:
        """The dimensions in another order."""
        axes = self._axes(dims[0] if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims)
        if len(axes) != self.ndim:
            raise ValueError(f"permute: dims is {dims}, expected each of the {self.ndim} dimensions once")
        return self._next(permute(self.builder, self.tensor, axes), axes[:1] == [0])

    def transpose(self, dim0: int, dim1: int) -> Self:
        """Two dimensions exchanged."""
        axes = list(range(self.ndim))
        first, second = self._axis(dim0), self._axis(dim1)
        axes[first], axes[second] = axes[second], axes[first]
        return self.permute(axes)

    swapaxes = transpose

    def t(self) -> Self:
        """A matrix with rows and columns exchanged."""
        return self.permute(list(range(self.ndim))[::-1])

    @property
    def T(self) -> Self:
        return self.t()

    @property
    def mT(self) -> Self:
        return self.transpose(-2, -1)

    def expand(self, *shape: Any) -> Self:
        """Repeated along dimensions of size 1; -1 keeps a size."""
        sizes = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else list(shape)
        new = len(sizes) - self.ndim
        sizes = [self.shape[i - new] if size == -1 and i >= new else size for i, size in enumerate(sizes)]
        return self._next(expand(self.builder, self.tensor, sizes), new == 0)

    def expand_as(self, other: SymbolicBase) -> Self:
        """Repeated to the shape of another tensor."""
        return self.expand(other.shape)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Self, ...]:
        """Parts along dim, of which the last may be smaller."""
        return self.split(-(-self.shape[self._axis(dim)] // chunks), dim)

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Self, ...]:
        """Parts of one size along dim, of which the last may be smaller; or of the given sizes."""
        axis = self._axis(dim)
        whole = self.shape[axis]
        if is_whole(split_size):
            step = operator.index(split_size)  # type: ignore[arg-type]
            sizes = [min(step, whole - start) for start in range(0, whole, step)]
        else:
            sizes = list(split_size)  # type: ignore[arg-type]
        if sum(sizes) != whole:
            raise ValueError(f"split: split_size is {split_size}, expected sizes that add up to {whole}")
        parts, start = [], 0
        for size in sizes:
            parts.append(self[(slice(None),) * axis + (slice(start, start + size),)])
            start += size
        return tuple(parts)

    def unbind(self, dim: int = 0) -> tuple[Self, ...]:
        """The parts of size 1 along dim, without it."""
        axis = self._axis(dim)
        return tuple(self[(slice(None),) * axis + (i,)] for i in range(self.shape[axis]))

    def _with(self, axes: Sequence[int]) -> Self:
        """With dimensions of size 1 put in at these places."""
        x = self
        for axis in sorted(axes):
            x = x.unsqueeze(axis)
        return x

    def _without(self, axes: Sequence[int]) -> Self:
        return self.reshape([size for axis, size in enumerate(self.shape) if axis not in axes])
