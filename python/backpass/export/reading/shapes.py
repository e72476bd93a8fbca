"""Shapes, parts and reductions."""

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from ...program.functions import cat
from ...program.symbolic import SymbolicTensor
from .call import Call, is_array
from .constants import limited
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


def reduced(function: Callable[[SymbolicTensor, list[int], bool], SymbolicTensor]) -> Reader:
    """A reduction over axes, default all."""

    def read(call: Call) -> Any:
        x, axes = call.raw(0), call.axes(1)
        keep, empty = bool(call.attribute("keepdims", 1)), call.attribute("noop_with_empty_axes", 0)
        if not axes and empty:
            return x
        gone = sorted({axis % x.ndim for axis in axes}) if axes else [*range(x.ndim)]
        if isinstance(x, Turned) and x.at not in gone:
            y = function(x.tensor, [x.axis(axis) for axis in gone], keep)
            return like(y, x.at if keep else x.at - sum(axis < x.at for axis in gone))
        return function(call.tensor(0), gone, keep)

    return read


def argmax(call: Call) -> Any:
    """Where the first of the largest elements is."""
    call.expect(select_last_index=0)
    return call.tensor(0).argmax(call.attribute("axis", 0), bool(call.attribute("keepdims", 1)))


def softmax(call: Call) -> Any:
    """Softmax along an axis, or its logarithm."""
    x, axis = call.raw(0), call.attribute("axis", -1)
    log = call.node.op == "LogSoftmax"
    if isinstance(x, Turned) and axis % x.ndim != x.at:
        return like(x.tensor._softmax(x.axis(axis), log), x.at)
    return call.tensor(0)._softmax(axis, log)


def pad(call: Call) -> Any:
    """A constant around the input."""
    call.expect(mode="constant")
    x, pads, value = call.tensor(0), call.numbers(1, "pads") or [], call.known(2, "constant_value")
    axes = call.numbers(3, "axes") or [*range(x.ndim)]
    return padded(x, axes, pads, 0.0 if value is None else float(value.reshape(())))


def padded(x: SymbolicTensor, axes: list[int], pads: list[int], value: float) -> SymbolicTensor:
    """x with pads before and behind some axes: the numbers before all axes, then those behind; below 0 they cut."""
    for axis, before, behind in zip(axes, pads, pads[len(axes) :], strict=False):
        if before < 0 or behind < 0:
            stop = x.shape[axis] + min(behind, 0)
            x = x[(slice(None),) * (axis % x.ndim) + (slice(max(-before, 0), stop),)]
        parts: list[Any] = [x]
        for count, at in ((before, 0), (behind, len(parts) + 1)):
            if count > 0:
                sizes = [*x.shape]
                sizes[axis] = count
                limited(prod(sizes) / max(x.shape[0], 1))
                parts.insert(at, np.full(sizes, value))
        x = cat(parts, axis % x.ndim) if len(parts) > 1 else x
    return x


SHAPES: dict[str, Reader] = {
    "Shape": shape, "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose,
    "Expand": expand, "Concat": concat, "Split": split, "Slice": slice_, "Gather": gather, "GatherElements": gather_elements,
    "Pad": pad, "ArgMax": argmax, "Softmax": softmax, "LogSoftmax": softmax,
    "Size": lambda call: np.array(prod(call.raw(0).shape), np.int64),
    "ReduceSum": reduced(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceMean": reduced(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMax": reduced(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMin": reduced(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceSumSquare": reduced(lambda x, axes, keep: (x * x).sum(axes, keep)),
    "ReduceL2": reduced(lambda x, axes, keep: (x * x).sum(axes, keep).sqrt()),
    "ReduceLogSumExp": reduced(lambda x, axes, keep: x.logsumexp(axes, keep)),
}  # fmt: skip
