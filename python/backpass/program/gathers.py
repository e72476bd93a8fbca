"""Elements of tensors chosen by index: whole parts along an axis, or element by element."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ops import embedding_bag_forward, embedding_forward, gather_forward
from .builder import Builder
from .tables import is_sparse, looked_up, looked_up_in_bags
from .tensor import Tensor
from .views import expand, part, permute


def embedding(
    builder: Builder, weight: Tensor, index: Tensor, padding_idx: int = -1, sparse: bool = False
) -> Tensor:
    """weight[index] for (V, ...) and indices of any shape; the row padding_idx has no gradient, where it is not -1.

    sparse: whether the gradient of a parameter is that of the rows that occur.
    """
    _note(builder, "embedding", index, weight.shape[0])
    if is_sparse(builder, weight, sparse):
        y = builder.run(embedding_forward, weight=weight, index=index, padding_idx=padding_idx)
        return looked_up(builder, y, weight, index, padding_idx)
    y = _rows(builder, weight, index, padding_idx)
    if padding_idx < 0:
        builder.rows_of[y] = weight, index
    return y


def bags(
    builder: Builder, weight: Tensor, index: Tensor, mode: str, padding_idx: int = -1, sparse: bool = False
) -> Tensor:
    """The "mean", "sum" or "max" of weight[index_n] for every row of indices (N, L); padding_idx does not count, -1: all do.

    sparse: whether the gradient of a parameter is that of the rows that occur.
    """
    _note(builder, "embedding_bag", index, weight.shape[0])
    fields = {"weight": weight, "index": index, "mean": mode == "mean", "padding_idx": padding_idx}
    if not is_sparse(builder, weight, sparse):
        return builder.emit(embedding_bag_forward, ("top",) if mode == "max" else (), **fields)
    shape = index.shape[0], weight.shape[1]
    scale, top = builder.tensor(shape[:1]), builder.tensor(shape, np.int64) if mode == "max" else None
    y = builder.run(embedding_bag_forward, scale=scale, top=top, **fields)
    return looked_up_in_bags(builder, y, weight, index, padding_idx, scale, top)


def select(builder: Builder, x: Tensor, index: Tensor, axis: int, function: str) -> Tensor:
    """The parts of x that index says along an axis; the dimensions of index stand in its place. function: for messages."""
    _note(builder, function, index, x.shape[axis])
    last, count = len(x.shape) - 1, len(index.shape)
    if axis == 0:
        return _rows(builder, x, index)
    if axis == last and count == 1:
        return _elements(builder, x, expand(builder, index, (*x.shape[:-1], *index.shape)), last)
    y = _rows(builder, permute(builder, x, [axis, *_without(range(last + 1), axis)]), index)
    order = [*range(count, count + axis), *range(count), *range(count + axis, count + last)]
    return permute(builder, y, order)


def gather(builder: Builder, x: Tensor, index: Tensor, axis: int) -> Tensor:
    """y[..., k, ...] = x[..., index[..., k, ...], ...] along an axis; in the others index may be smaller than x."""
    _note(builder, "gather", index, x.shape[axis])
    fits = len(index.shape) == len(x.shape)
    if not fits or any(a > b for a, b in zip(*(_without(t.shape, axis) for t in (index, x)), strict=True)):
        raise ValueError(
            f"gather: index has shape {index.shape}, expected {len(x.shape)} dimensions, of which all but {axis} are at most"
            f" those of {x.shape}"
        )
    wanted = (*index.shape[:axis], x.shape[axis], *index.shape[axis + 1 :])
    if wanted != x.shape:
        x = part(builder, x, tuple(slice(size) for size in wanted))
    return _elements(builder, x, index, axis)


def take_along(builder: Builder, x: Tensor, index: Tensor, axis: int) -> Tensor:
    """`gather` with x and index broadcast to each other in all other dimensions."""
    _note(builder, "take_along_dim", index, x.shape[axis])
    try:
        if len(x.shape) != len(index.shape):
            raise ValueError
        common = np.broadcast_shapes(*(tuple(_without(t.shape, axis)) for t in (x, index)))
    except ValueError:
        raise ValueError(
            f"take_along_dim: shapes {x.shape} and {index.shape} do not fit together in all but dim {axis}"
        ) from None
    x, index = (expand(builder, t, (*common[:axis], t.shape[axis], *common[axis:])) for t in (x, index))
    return _elements(builder, x, index, axis)


def _note(builder: Builder, function: str, index: Tensor, size: int) -> None:
    if index.array.dtype != np.int64:
        raise TypeError(
            f"{function}: index is {index.array.dtype}, expected int64 indices: an input of integers, argmax, an array, or what"
            " is computed of integers alone; x.long() makes indices of numbers"
        )
    builder.ranges.append((index.array, size))


def _rows(builder: Builder, weight: Tensor, index: Tensor, padding_idx: int = -1) -> Tensor:
    rest = weight.shape[1:]
    if len(rest) != 1:
        weight = builder.reshape(weight, (weight.shape[0], prod(rest)))
    y = builder.emit(embedding_forward, weight=weight, index=index, padding_idx=padding_idx)
    return y if len(rest) == 1 else builder.reshape(y, (*index.shape, *rest))


def _elements(builder: Builder, x: Tensor, index: Tensor, axis: int) -> Tensor:
    order = [*_without(range(len(x.shape)), axis), axis]
    if axis == len(order) - 1:
        return builder.emit(gather_forward, x=x, index=index)
    x, index = permute(builder, x, order), permute(builder, index, order)
    return permute(builder, builder.emit(gather_forward, x=x, index=index), np.argsort(order).tolist())


def _without(sizes: Sequence[int], axis: int) -> list[int]:
    return [size for at, size in enumerate(sizes) if at != axis]
