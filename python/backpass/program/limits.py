"""Limits: which inputs of a network hold indices, and below which number each of them has to be."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided

# Of an index that nothing is chosen by.
NO_LIMIT = np.iinfo(np.int64).max
# An array of indices, as it was given, and the size of what they choose from.
Ranges = Iterable[tuple[np.ndarray, int]]


def limits(ranges: Ranges, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each input with indices one limit for each element of a row."""
    found: dict[str, np.ndarray] = {}
    for index, size in ranges:
        for name, array in inputs.items():
            if array.dtype != np.int64 or not within(index, array):
                continue
            # `index` may be a view: of its elements' places in the batch, the places in a row.
            start = (byte_bounds(index)[0] - byte_bounds(array)[0]) // array.itemsize
            places = np.arange(start, array.size)
            seen = as_strided(places, index.shape, index.strides, writeable=False)
            of_row = np.unique(seen % max(array[:1].size, 1))
            limit = found.setdefault(name, np.full(array[:1].size, NO_LIMIT))
            limit[of_row] = np.minimum(limit[of_row], size)
    return found


def inputs_with_indices(ranges: Ranges, inputs: Mapping[str, np.ndarray]) -> set[str]:
    """The names of the inputs that something is chosen by."""
    return {name for index, _ in ranges for name, array in inputs.items() if within(index, array)}


def within(part: np.ndarray, whole: np.ndarray) -> bool:
    """Whether an array lies in the memory of another one."""
    if not part.size or not whole.size:
        return False
    (low, high), (start, end) = byte_bounds(part), byte_bounds(whole)
    return start <= low and high <= end
