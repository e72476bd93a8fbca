"""Other shapes and orders of the same elements."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ...program.symbolic import SymbolicTensor
from .call import Call, is_array
from .turned import Turned, like, permuted, plain, reshaped

Reader = Callable[[Call], Any]


def shape(call: Call) -> np.ndarray:
    """The sizes, which are known while tracing."""
    sizes = call.raw(0).shape
    return np.array(sizes[slice(call.attribute("start", 0), call.attribute("end", len(sizes)))], np.int64)


def reshape(call: Call) -> Any:
    """Another shape; 0 stands for the size that was there."""
    x, sizes = call.raw(0), call.numbers(1, "shape") or []
    if not call.attribute("allowzero", 0):
        sizes = [x.shape[k] if size == 0 and k < x.ndim else size for k, size in enumerate(sizes)]
    return reshaped(x, _filled(sizes, x.shape), sizes.index(-1) if -1 in sizes else None)


def _filled(sizes: list[int], given: tuple[int, ...]) -> list[int]:
    """The sizes with a number for -1."""
    known = prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known and prod(given) % known == 0:
        sizes = [prod(given) // known if size == -1 else size for size in sizes]
    if prod(sizes) != prod(given) or min(sizes, default=1) < 0:
        raise ValueError(f"shape is {sizes} for an input of shape {given}")
    return sizes


def flatten(call: Call) -> Any:
    """Two dimensions."""
    x = call.raw(0)
    axis = call.attribute("axis", 1)
    return reshaped(x, [prod(x.shape[:axis]), prod(x.shape[axis:])])


def squeeze(call: Call) -> Any:
    """Without dimensions of size 1."""
    x, axes = call.raw(0), call.axes(1)
    gone = {axis % x.ndim for axis in axes} if axes else {k for k, n in enumerate(x.shape) if n == 1}
    if any(x.shape[axis] != 1 for axis in gone):
        raise ValueError(f"axes are {sorted(gone)} for an input of shape {x.shape}, expected sizes of 1")
    return _resized(x, [k for k in range(x.ndim) if k not in gone], [])


def unsqueeze(call: Call) -> Any:
    """With dimensions of size 1."""
    x, axes = call.raw(0), call.axes(1) or []
    new = sorted(axis % (x.ndim + len(axes)) for axis in axes)
    return _resized(x, [*range(x.ndim)], new)


def _resized(x: Any, kept: list[int], new: list[int]) -> Any:
    """Without some dimensions of size 1, and with others; rows are where they were."""
    sizes = [x.shape[k] for k in kept]
    at = kept.index(x.at) if isinstance(x, Turned) and x.at in kept else None
    for axis in new:
        sizes.insert(axis, 1)
        at = at + 1 if at is not None and axis <= at else at
    if isinstance(x, SymbolicTensor) and x.per_row == 1 and 0 in kept and new and new[0] == 0:
        x, at = Turned(x, 0), sum(axis <= place for place, axis in enumerate(new))
    if isinstance(x, Turned) and at is not None:
        rows, *others = sizes[at], *sizes[:at], *sizes[at + 1 :]
        return like(x.tensor.reshape([rows, *others]), at)
    return plain(x).reshape(sizes)


def transpose(call: Call) -> Any:
    """The dimensions in another order."""
    x = call.raw(0)
    axes = call.attribute("perm", [*range(x.ndim)][::-1])
    return x.transpose(axes) if is_array(x) else permuted(x, [axis % x.ndim for axis in axes])


def expand(call: Call) -> Any:
    """Repeated along dimensions of size 1."""
    x, sizes = call.tensor(0), call.numbers(1, "shape") or []
    whole = np.broadcast_shapes(x.shape, tuple(sizes))
    return (
        x.reshape([1] * (len(whole) - x.ndim) + [*x.shape]).expand(whole)
        if len(whole) > x.ndim
        else x.expand(whole)
    )


SHAPES: dict[str, Reader] = {
    "Shape": shape, "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose,
    "Expand": expand, "Size": lambda call: np.array(prod(call.raw(0).shape), np.int64),
}  # fmt: skip
