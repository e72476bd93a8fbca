"""The dimensions of arrays as memory has them: cut, joined, and found again by their strides."""

from typing import NamedTuple

import numpy as np


class Axis(NamedTuple):
    """One dimension: its size, and the elements from one place to the next."""

    size: int
    stride: int


def axes_of(array: np.ndarray) -> list[Axis]:
    """The dimensions of an array."""
    return [Axis(n, s // array.itemsize) for n, s in zip(array.shape, array.strides, strict=True)]


def side_by_side(array: np.ndarray) -> list[Axis]:
    """The dimensions of an array, those as one that go on from one to the next."""
    merged: list[Axis] = []
    for size, stride in axes_of(array):
        if merged and merged[-1].stride == size * stride:
            merged[-1] = Axis(merged[-1].size * size, stride)
        else:
            merged.append(Axis(size, stride))
    return merged


def cut(axes: list[Axis], wanted: list[Axis]) -> list[Axis]:
    """The axes of a value, cut into two wherever a view steps within one."""
    parts = [*axes]
    for _, stride in wanted:
        for number, (size, inner) in enumerate(parts):
            within = size > 1 and inner < stride < size * inner
            if within and stride % inner == 0 and size * inner % stride == 0:
                parts[number : number + 1] = [
                    Axis(size * inner // stride, stride),
                    Axis(stride // inner, inner),
                ]
                break
    return parts


def pieces_of(axes: list[Axis], wanted: list[Axis]) -> list[tuple[int, Axis]] | None:
    """The axes that a view walks along, in its order, each by its number and with what the view takes of it."""
    pieces: list[tuple[int, Axis]] = []
    for size, stride in wanted:
        inner: list[tuple[int, Axis]] = []
        while size > 1:
            number = next((k for k, axis in enumerate(axes) if axis.size > 1 and axis.stride == stride), None)
            if number is None:
                number = _stepping(axes, stride)
                if number is None:
                    return None
            whole = axes[number].size if axes[number].stride == stride else size
            if size > whole and size % whole:
                return None
            inner.insert(0, (number, Axis(min(size, whole), stride)))
            size, stride = -(-size // whole), stride * whole
        pieces += inner
    return pieces if len({number for number, _ in pieces}) == len(pieces) else None


def _stepping(axes: list[Axis], stride: int) -> int | None:
    """The axis along which this stride takes several places at once."""
    fitting = [
        (axis.stride, k)
        for k, axis in enumerate(axes)
        if 0 < axis.stride < stride < axis.size * axis.stride and stride % axis.stride == 0
    ]
    return max(fitting)[1] if fitting else None


def starts_of(axes: list[Axis], offset: int) -> list[int] | None:
    """Where a view begins along each axis."""
    starts = [0] * len(axes)
    for number in sorted(range(len(axes)), key=lambda k: -axes[k].stride):
        if axes[number].size > 1:
            starts[number], offset = divmod(offset, axes[number].stride)
    inside = all(start < axis.size for start, axis in zip(starts, axes, strict=True))
    return starts if offset == 0 and inside else None
