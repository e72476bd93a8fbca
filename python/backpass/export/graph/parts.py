"""A value of parts that instructions wrote one after the other: side by side, or over what was there."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...program import address
from ..batches import Pair
from .axes import Axis, axes_of, pieces_of, starts_of
from .nodes import Nodes, Value


class Region(NamedTuple):
    """The place of a part: where it starts along each axis of the whole, and how much of it there is."""

    starts: tuple[int, ...]
    counts: tuple[int, ...]
    # The axes of the whole in the order in which the part has them, and its sizes along these.
    order: tuple[int, ...]
    sizes: tuple[int, ...]


def composed(graph: Nodes, whole: Pair, base: str | None, values: Sequence[Value]) -> str | None:
    """The value of the whole, of which each part was written after those before it; None where the parts do not make it.

    base: what was there before the first, if that is known.
    """
    parts: list[tuple[str, Region]] = []
    for value in values:
        one, other = (_region(array, into) for array, into in zip(value.arrays, whole, strict=True))
        if one is None or other is None or one.starts != other.starts:
            return None
        parts.append((_turned(graph, value.name, one, other), one))
    sizes = whole[0].shape
    if base is None:
        return _side_by_side(graph, parts, sizes)
    for name, region in parts:
        base = _pasted(graph, base, name, region, sizes)
    return base


def _region(part: np.ndarray, whole: np.ndarray) -> Region | None:
    axes = axes_of(whole)
    wanted = [axis for axis in axes_of(part) if axis.size > 1]
    pieces = pieces_of(axes, wanted)
    starts = starts_of(axes, (address(part) - address(whole)) // part.itemsize)
    if pieces is None or starts is None or any(axes[k].stride != axis.stride for k, axis in pieces):
        return None
    taken = dict(pieces)
    counts = tuple(taken.get(k, Axis(1, 1)).size for k in range(len(axes)))
    order = tuple(k for k, _ in pieces)
    return Region(tuple(starts), counts, order, tuple(axis.size for _, axis in pieces))


def _turned(graph: Nodes, name: str, one: Region, other: Region) -> str:
    """A part with the axes of the whole."""
    if list(one.order) != sorted(one.order):
        name = graph.reshape(name, graph.merged(one.sizes, other.sizes))
        name = graph.node("Transpose", [name], perm=[int(k) for k in np.argsort(one.order)])
    return graph.reshape(name, graph.merged(one.counts, other.counts))


def _side_by_side(graph: Nodes, parts: list[tuple[str, Region]], sizes: tuple[int, ...]) -> str | None:
    cut = {axis for _, region in parts for axis, n in enumerate(region.counts) if n != sizes[axis]}
    if len(cut) != 1:
        return None
    (axis,) = cut
    parts.sort(key=lambda part: part[1].starts[axis])
    ends = [0]
    for _, region in parts:
        if region.starts[axis] != ends[-1]:
            return None
        ends.append(ends[-1] + region.counts[axis])
    if ends[-1] != sizes[axis]:
        return None
    return graph.node("Concat", [name for name, _ in parts], axis=axis)


def _pasted(graph: Nodes, base: str, part: str, region: Region, sizes: tuple[int, ...]) -> str:
    """The base with a part in place of what was there: from the last axis that it fills in part to the first."""
    partial = [axis for axis, n in enumerate(region.counts) if n != sizes[axis]]
    for number in reversed(range(len(partial))):
        slab = base
        for axis in partial[:number]:
            start = region.starts[axis]
            slab = graph.slice(slab, axis, start, start + region.counts[axis])
        axis = partial[number]
        start, end = region.starts[axis], region.starts[axis] + region.counts[axis]
        pieces = [graph.slice(slab, axis, 0, start)] if start else []
        pieces.append(part)
        pieces += [graph.slice(slab, axis, end, sizes[axis])] if end < sizes[axis] else []
        part = graph.node("Concat", pieces, axis=axis)
    return part
