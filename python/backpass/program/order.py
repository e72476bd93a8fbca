"""Memory order: the layout of a tensor is its strides, so that (B, C, H, W) may lie in memory with the channels last.

An op that wants the channels last takes (B, H, W, C), and is given a view of the other order. What is computed element by element
keeps the order of its operands: between two such ops nothing is copied, and all others get a contiguous copy.
"""

from collections.abc import Callable, Sequence

import numpy as np

from .builder import Builder
from .tensor import Tensor, dense_order
from .views import permute


def memory_order(tensors: Sequence[Tensor]) -> list[int] | None:
    """The axes in the order in which all dense tensors of one shape lie in memory; None where that is the order of the axes."""
    orders = []
    for tensor in tensors:
        array = tensor.array
        repeated = any(
            stride == 0 for stride, size in zip(array.strides, array.shape, strict=True) if size > 1
        )
        if not repeated:  # else it has no order of its own
            orders.append(dense_order(array))
    return orders[0] if orders and all(order == orders[0] for order in orders) else None


def in_memory_order(builder: Builder, compute: Callable[..., Tensor], tensors: Sequence[Tensor]) -> Tensor:
    """compute(*tensors), element by element, on views in the order of their memory; without a place on the tape."""
    order = memory_order(tensors)
    if order is None:
        return compute(*tensors)
    y = compute(*(builder.view(x, x.array.transpose(order), whole=True) for x in tensors))
    return builder.view(y, y.array.transpose(np.argsort(order)), whole=True)


def keeping_order(builder: Builder, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """compute(x), element by element, on a view in the order of its memory; with its place on the tape."""
    order = memory_order([x])
    if order is None:
        return compute(x)
    return permute(builder, compute(permute(builder, x, order)), np.argsort(order).tolist())


def alike(builder: Builder, compute: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """compute(a, b), element by element, on views in the order of memory that both have; with its place on the tape."""
    order = memory_order([a, b])
    if order is None:
        return compute(a, b)
    y = compute(permute(builder, a, order), permute(builder, b, order))
    return permute(builder, y, np.argsort(order).tolist())
