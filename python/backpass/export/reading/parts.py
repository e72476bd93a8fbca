"""Parts of tensors: cut, chosen by index, put together."""

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from ...nn.functional_padding import surrounded
from ...program.functions import cat
from ...program.symbolic import SymbolicTensor
from .call import Call, is_array
from .constants import limited
from .turned import Turned, like, plain

Reader = Callable[[Call], Any]


def concat(call: Call) -> Any:
    """The inputs one behind the other."""
    axis, values = call.attribute("axis", 0), call.values
    places = {value.at for value in values if isinstance(value, Turned)}
    turned = len(places) == 1 and all(isinstance(value, Turned) for value in values)
    if turned and axis % values[0].ndim not in places:
        return like(cat([value.tensor for value in values], values[0].axis(axis)), *places)
    tensors = [plain(value) for value in values]
    if not any(isinstance(value, SymbolicTensor) for value in tensors):
        tensors = [call.as_tensor(value) for value in tensors]
    return cat(tensors, axis)


def split(call: Call) -> Any:
    """Parts along an axis."""
    x, axis = call.raw(0), call.attribute("axis", 0)
    count = call.attribute("num_outputs", len(call.node.outputs))
    sizes = call.numbers(1, "split")
    whole = x.shape[axis]
    step = -(-whole // max(count, 1))
    sizes = sizes or [min(step, whole - start) for start in range(0, whole, step)]
    starts = np.cumsum([0, *sizes])
    return tuple(_part(x, axis, slice(int(a), int(b))) for a, b in pairwise(starts))


def _part(x: Any, axis: int, chosen: Any) -> Any:
    """A part along one axis."""
    if isinstance(x, Turned) and axis % x.ndim != x.at:
        tensor, at = x.tensor, x.at
        tensor = tensor[(slice(None),) * x.axis(axis) + (chosen,)]
        # An index may have none or several dimensions.
        return like(tensor, at + (tensor.ndim - x.ndim if axis % x.ndim < at else 0))
    x = plain(x)
    return x[(slice(None),) * (axis % x.ndim) + (chosen,)]


def slice_(call: Call) -> Any:
    """Parts along some axes."""
    x = call.raw(0)
    starts, ends = call.numbers(1, "starts") or [], call.numbers(2, "ends") or []
    axes, steps = call.numbers(3, "axes"), call.numbers(4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes or range(len(starts)), steps, strict=True):
        if step == 0:
            raise ValueError("steps hold 0")
        size = x.shape[axis]
        places = range(size)[slice(start, end if step > 0 or end >= -size else None, step)]
        whole = places == range(size)
        if not whole:
            stepped = slice(places.start, places.stop, step) if step > 0 else np.array(places)
            x = _part(x, axis, stepped)
    return x


def gather(call: Call) -> Any:
    """Parts by index, such as the rows of a table."""
    x, index, axis = call.raw(0), call[1], call.attribute("axis", 0)
    if isinstance(index, np.ndarray):
        size = x.shape[axis]
        if index.size and not -size <= index.min() <= index.max() < size:
            raise ValueError(
                f"indices are from {index.min()} to {index.max()}, expected from {-size} to {size - 1}"
            )
        if index.ndim == 0:
            return _part(x, axis, int(index) % size)
        limited(prod(x.shape) // max(size, 1) * index.size)
        return _part(call.as_tensor(x) if is_array(x) else x, axis, index)
    return _part(call.as_tensor(x) if is_array(x) else x, axis, index)


def gather_elements(call: Call) -> Any:
    """Elements by index."""
    x, index, axis = call.tensor(0), call[1], call.attribute("axis", 0)
    fixed = isinstance(index, np.ndarray) and axis % x.ndim and len(index) == x.shape[0]
    if fixed and (index == index[:1]).all():  # the same for each row
        return x.take_along_dim(index[:1], axis)
    return x.gather(axis, index)


def pad(call: Call) -> Any:
    """A constant around the input."""
    call.expect(mode="constant")
    x, pads, value = call.tensor(0), call.numbers(1, "pads") or [], call.known(2, "constant_value")
    axes = call.numbers(3, "axes") or [*range(x.ndim)]
    return padded(x, axes, pads, 0.0 if value is None else float(value.reshape(())))


def padded(x: SymbolicTensor, axes: list[int], pads: list[int], value: float) -> SymbolicTensor:
    """x with pads before and behind some axes: the numbers before all axes, then those behind; below 0 they cut."""
    for axis, before, behind in zip(axes, pads, pads[len(axes) :], strict=False):
        others = prod(size for at, size in enumerate(x.shape) if at != axis % x.ndim)
        limited(others * (max(before, 0) + max(behind, 0)) / max(x.shape[0], 1))
        x = surrounded(x, axis % x.ndim, before, behind, value)
    return x


PARTS: dict[str, Reader] = {
    "Concat": concat, "Split": split, "Slice": slice_, "Gather": gather, "GatherElements": gather_elements, "Pad": pad,
}  # fmt: skip
