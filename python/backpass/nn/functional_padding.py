"""What stands around a tensor, under PyTorch's name."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks import whole
from ..program.functions import cat
from ..program.symbolic import SymbolicTensor
from .padding import PADDING_MODES, padded_places

# The most elements of a dimension that are put in.
MOST = 2**31


def pad(
    x: SymbolicTensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> SymbolicTensor:
    """x with elements before and behind its last dimensions: pad is (before, behind) of the last one, then of the one before it.

    mode: "constant" puts in `value`, default 0, and a number below 0 cuts; "reflect" mirrors, "replicate" repeats the last
    element, "circular" goes on at the other end.
    """
    if not isinstance(pad, Sequence):
        raise TypeError(
            f"pad is {pad!r:.60}, expected (before, behind) of the last dimension, then of those before it"
        )
    counts = [whole("pad", count, -MOST, MOST) for count in pad]
    if len(counts) % 2 or len(counts) > 2 * x.ndim:
        raise ValueError(
            f"pad is {tuple(pad)}, expected two numbers for each of the last dimensions of {x.shape}"
        )
    modes = ("constant", *PADDING_MODES[1:])
    if mode not in modes or (value is not None and mode != "constant"):
        raise ValueError(
            f"mode is {mode!r} and value {value!r}, expected one of {modes}, and a value for 'constant' alone"
        )
    for back, (before, behind) in enumerate(zip(counts[::2], counts[1::2], strict=True), 1):
        axis = x.ndim - back
        if mode == "constant":
            x = surrounded(x, axis, before, behind, 0.0 if value is None else value)
        elif before or behind:
            places = padded_places("pad", x.shape[axis], before, behind, mode)
            x = x[(slice(None),) * axis + (np.array(places),)]
    return x


def surrounded(x: SymbolicTensor, axis: int, before: int, behind: int, value: float) -> SymbolicTensor:
    """x with so many elements of one value before and behind a dimension; below 0 so many are cut."""
    start, stop = max(-before, 0), x.shape[axis] - max(-behind, 0)
    if start > stop:
        raise ValueError(
            f"pad is {(before, behind)}, which cuts more than the {x.shape[axis]} elements of dimension {axis}"
        )
    if (start, stop) != (0, x.shape[axis]):
        x = x[(slice(None),) * axis + (slice(start, stop),)]
    parts: list[Any] = [x]
    for count, at in ((before, 0), (behind, len(parts) + 1)):
        if count > 0:
            parts.insert(at, np.full([*x.shape[:axis], count, *x.shape[axis + 1 :]], value))
    return cat(parts, axis) if len(parts) > 1 else x
