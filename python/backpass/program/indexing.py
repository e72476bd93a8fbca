"""What symbolic tensors do by index: slices, and elements that an array or another tensor chooses."""

from typing import Any, Self

import numpy as np

from ..checks import is_whole
from .gathers import embedding, gather, select, take_along
from .masks import tell_first
from .symbolic_base import SymbolicBase
from .tensor import Tensor
from .views import part


class Indexing(SymbolicBase):
    """Indices are int64 tensors, or arrays and lists of integers, which are constants of the program."""

    def __getitem__(self, index: Any) -> Self:
        items = index if isinstance(index, tuple) else (index,)
        if any(_chooses(item) for item in items):
            return self._select("x[index]", self._place(items), next(filter(_chooses, items)))
        for item in items:
            if not (item is None or item is Ellipsis or isinstance(item, slice) or is_whole(item)):
                raise TypeError(
                    f"a tensor's index holds {item!r:.60}, expected integers, slices, None, ... or indices"
                )
        y = part(self.builder, self.tensor, items)
        if len(items) > 1 and _whole(items[0]) and _first(items[1]) and self.ndim > 1 and len(y.shape) > 1:
            tell_first(self.builder, self.shape[1], y.shape[1])
        return self._next(y, not items or _whole(items[0]))

    def gather(self, dim: int, index: Any) -> Self:
        """The elements that index says along dim; its other dimensions are those of the tensor, or smaller."""
        axis = self._axis(dim)
        chosen = self._indices("gather", index, self.shape[axis])
        y = gather(self.builder, self._number, chosen, axis)
        together = bool(self.per_row) == bool(_per_row(index)) and self.shape[0] == chosen.shape[0]
        return self._chosen(y, index, axis, together)

    def take_along_dim(self, indices: Any, dim: int) -> Self:
        """The elements that indices say along dim; both are broadcast to each other in the other dimensions."""
        axis = self._axis(dim)
        chosen = self._indices("take_along_dim", indices, self.shape[axis])
        y = take_along(self.builder, self._number, chosen, axis)
        sides = ((self.per_row, self.shape), (_per_row(indices), chosen.shape))
        return self._chosen(
            y, indices, axis, all(shape[0] == (y.shape[0] if rows else 1) for rows, shape in sides)
        )

    def index_select(self, dim: int, index: Any) -> Self:
        """The parts along dim that an index of one dimension says."""
        shape = index.shape if isinstance(index, SymbolicBase) else np.shape(index)
        if len(shape) != 1:
            raise ValueError(f"index_select: index has shape {shape}, expected one dimension")
        return self._select("index_select", self._axis(dim), index)

    def _select(self, function: str, axis: int, index: Any, padding_idx: int = -1) -> Self:
        chosen = self._indices(function, index, self.shape[axis])
        if padding_idx >= 0:
            y = embedding(self.builder, self._number, chosen, padding_idx)
        else:
            y = select(self.builder, self._number, chosen, axis, function)
        return self._chosen(y, index, axis, not _per_row(index))

    def _chosen(self, y: Tensor, index: Any, axis: int, apart: bool) -> Self:
        """What was chosen by index; `apart` says whether that along another axis than the first keeps the rows apart."""
        ours, theirs = self.per_row, _per_row(index)
        rows = ours or theirs
        if axis == 0:
            apart, rows = not ours, theirs
        if (ours or theirs) and not apart:
            self.builder.whole_batch, rows = True, 0
        return self._of(y, rows)

    def _indices(self, function: str, index: Any, size: int) -> Tensor:
        """A tensor of indices; those of an array count from the end where they are below 0, and are known to exist."""
        if isinstance(index, SymbolicBase):
            return index._within(self.builder).tensor
        array = np.asarray(index)
        if array.dtype.kind not in "iu" and not (isinstance(index, list) and array.size == 0):
            raise TypeError(f"{function}: index is an array of {array.dtype}, expected int64 indices")
        outside = array[(array < -size) | (array >= size)]
        if outside.size:
            raise ValueError(
                f"{function}: index holds {outside[0]}, expected integers from {-size} to {size - 1}"
            )
        array = array.astype(np.int64)
        return Tensor(np.where(array < 0, array + size, array))

    def _place(self, items: tuple[Any, ...]) -> int:
        """The axis of the only indices among full slices."""
        places = [at for at, item in enumerate(items) if _chooses(item)]
        if len(places) > 1 or not all(_whole(item) for item in items if not _chooses(item)):
            raise TypeError(
                f"a tensor's index is {items!r:.120}: beside an array or a tensor of indices it takes full slices alone"
            )
        dots = [at for at, item in enumerate(items) if item is Ellipsis]
        dims = len(self.shape)
        axis = places[0] + (dims - len(items) if dots and dots[0] < places[0] else 0)
        if len(dots) > 1 or len(items) - len(dots) > dims:
            raise IndexError(f"an index of {len(items)} items for a tensor of shape {self.shape}")
        return axis


def _chooses(item: Any) -> bool:
    """Whether an item of an index is an array or a tensor of indices."""
    return isinstance(item, SymbolicBase | np.ndarray | list)


def _whole(item: Any) -> bool:
    """Whether an item of an index takes all of a dimension, or of several."""
    return item is Ellipsis or (
        isinstance(item, slice) and item.start is None and item.stop is None and item.step is None
    )


def _first(item: Any) -> bool:
    """Whether an item of an index takes the first of a dimension, one after the other."""
    return isinstance(item, slice) and item.start in (None, 0) and item.step in (None, 1)


def _per_row(index: Any) -> int:
    return index.per_row if isinstance(index, SymbolicBase) else 0
