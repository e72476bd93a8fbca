"""How a view of memory is had of a value: a program names arrays by address and strides, a graph by their contents.

A value is what some array holds; a view shows its elements in another shape or order, or a part of them. `route` finds the nodes
that turn one into the other.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...program import address
from .axes import Axis, axes_of, cut, pieces_of, side_by_side, starts_of


class Step(NamedTuple):
    """A node: Reshape to `numbers`, Transpose by them, or Slice of the axis, start, end and step that they say."""

    kind: str
    numbers: tuple[int, ...]


def lone_shape(view: np.ndarray) -> tuple[int, ...]:
    """The shape of a view without what it repeats."""
    return tuple(n if s else 1 for n, s in zip(view.shape, view.strides, strict=True))


def route(view: np.ndarray, value: np.ndarray) -> list[Step] | None:
    """The steps from the array that holds a value to a view of its memory, without its repetitions; None where none lead."""
    steps = _steps(view, value, axes_of(value))
    if steps is None:
        # A view that goes on from one dimension to the next: then what lies side by side is one dimension.
        order = sorted(range(value.ndim), key=lambda axis: -value.strides[axis])
        steps = _steps(view, value, side_by_side(value.transpose(order)), [Step("Transpose", tuple(order))])
    return steps if steps is None else _needed(steps, value.shape)


def _steps(
    view: np.ndarray, value: np.ndarray, axes: list[Axis], before: Sequence[Step] = ()
) -> list[Step] | None:
    wanted = [axis for axis in axes_of(view) if axis.size > 1 and axis.stride]
    offset, rest = divmod(address(view) - address(value), view.itemsize)
    if rest or offset < 0 or any(axis.stride < 0 for axis in wanted):
        return None
    axes = cut(axes, wanted)
    pieces = pieces_of(axes, wanted)
    starts = starts_of(axes, offset)
    if pieces is None or starts is None:
        return None
    taken = dict(pieces)
    steps = [*before, Step("Reshape", tuple(axis.size for axis in axes))]
    sizes = []
    for number, axis in enumerate(axes):
        count, stride = taken.get(number, Axis(1, axis.stride))
        start, step = starts[number], stride // axis.stride if count > 1 else 1
        end = start + (count - 1) * step + 1
        if end > axis.size:
            return None
        if count < axis.size:
            steps.append(Step("Slice", (number, start, end, step)))
        sizes.append(count)
    order = [number for number, _ in pieces] + [n for n in range(len(axes)) if n not in taken]
    steps.append(Step("Transpose", tuple(order)))
    steps.append(Step("Reshape", lone_shape(view)))
    return steps


def carried_over(value: np.ndarray, view: np.ndarray, copy: np.ndarray) -> np.ndarray | None:
    """The array of the copy's memory that holds a value once the copy holds what a view of the value's memory shows.

    None where the view shows a part, or where no array is that.
    """
    if view.size != value.size or copy.shape != view.shape or address(view) != address(value):
        return None
    strides: list[int] = []
    places: set[int] = set()
    for size, stride in axes_of(value):
        axis = next(
            (k for k, a in enumerate(axes_of(view)) if 0 < a.stride <= stride < a.stride * a.size), None
        )
        if size > 1 and (axis is None or stride % axes_of(view)[axis].stride):
            return None
        times = stride // axes_of(view)[axis].stride if axis is not None else 0
        strides.append(times * copy.strides[axis] if axis is not None else 0)
        places.add(strides[-1] if size > 1 else -1 - len(places))
    shown = as_strided(copy, value.shape, strides)
    ways = route(view, value), route(copy, shown)
    return shown if len(places) == len(strides) and ways[0] == ways[1] is not None else None


def _needed(steps: list[Step], shape: tuple[int, ...]) -> list[Step]:
    """The steps that change something, from a value of this shape."""
    needed: list[Step] = []
    for step in steps:
        kind, numbers = step
        if kind == "Slice":
            axis, start, end, by = numbers
            shape = (*shape[:axis], len(range(start, end, by)), *shape[axis + 1 :])
        elif kind == "Transpose":
            moving = [axis for axis in numbers if shape[axis] > 1]
            if moving == sorted(moving):
                continue
            shape = tuple(shape[axis] for axis in numbers)
        elif numbers == shape:
            continue
        else:
            assert prod(numbers) == prod(shape)
            shape = numbers
        needed.append(step)
    return needed
