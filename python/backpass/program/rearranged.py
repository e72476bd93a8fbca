"""What symbolic tensors do with the order of their elements: turned round, moved on, repeated."""

from collections.abc import Sequence
from typing import Any, Self

from ..checks import whole
from .shapes import Shapes
from .views import cat

# The most repetitions of a dimension.
MOST = 2**31


class Rearranged(Shapes):
    """The same elements in another order, or several times."""

    def flip(self, *dims: Any) -> Self:
        """The elements along these dimensions from the last to the first."""
        axes = self._axes(dims[0] if len(dims) == 1 else dims)
        return self[tuple(slice(None, None, -1 if a in axes else None) for a in range(self.ndim))]

    def roll(self, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Self:
        """The elements moved on by `shifts` along dims, those at the end to the front; without dims as one row."""
        if dims is None:
            return self.reshape([self.numel()]).roll(shifts, 0).reshape(self.shape)
        axes, steps = self._axes(dims), [*shifts] if isinstance(shifts, Sequence) else [shifts]
        if len(axes) != len(steps):
            raise ValueError(f"roll: shifts is {shifts} and dims {dims}, expected a shift for each dimension")
        x = self
        for axis, step in zip(axes, steps, strict=True):
            size = x.shape[axis]
            first = -whole("shifts", step, -MOST, MOST) % max(size, 1)
            if first:
                parts = x.split([first, size - first], axis)
                y = cat(x.builder, [part.tensor for part in reversed(parts)], axis)
                x = x._next(y, axis != 0)
        return x

    def repeat(self, *sizes: Any) -> Self:
        """Copies one behind the other: `sizes` says how many along each dimension; new ones come first."""
        counts = [*sizes[0]] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else [*sizes]
        if len(counts) < self.ndim:
            raise ValueError(f"repeat: sizes is {counts}, expected at least {self.ndim} for {self.shape}")
        x = self._with(range(len(counts) - self.ndim))
        for axis, count in enumerate(counts):
            x = x._copied(axis, axis, whole("sizes", count, 1, MOST))
        return x

    def repeat_interleave(self, repeats: int, dim: int | None = None) -> Self:
        """Each element `repeats` times along dim, its copies together; without dim as one row."""
        if dim is None:
            return self.reshape([self.numel()]).repeat_interleave(repeats, 0)
        axis = self._axis(dim)
        return self._copied(axis, axis + 1, whole("repeats", repeats, 1, MOST))

    def _copied(self, axis: int, at: int, count: int) -> Self:
        """`count` copies along a dimension: as blocks where `at` is the dimension, each element's together just behind it."""
        if count == 1:
            return self
        sizes = [*self.shape[:at], count, *self.shape[at:]]
        merged = [*self.shape[:axis], self.shape[axis] * count, *self.shape[axis + 1 :]]
        return self.unsqueeze(at).expand(sizes).reshape(merged)
