"""Where matrices lie in memory.

Rows a multiple of 1 KiB apart fall into a few sets of a cache, so that products have to copy them first: about 2 % of a step
(benchmarks/LOG.md). Matrices that only products (and what else says so by
`Op.apart`) touch therefore get a cache line between their rows.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from .memory import apart
from .program import Instruction, address

CROWDED = 1024  # bytes from row to row, or a multiple


def spaced(instructions: Iterable[Instruction], fixed: Iterable[np.ndarray]) -> dict[int, np.ndarray]:
    """A new array with its rows apart, by the old one's address, for every matrix that gains by it and may move."""
    found: dict[int, np.ndarray] = {}
    stay = {address(array) for array in fixed}
    for instruction in instructions:
        for name, array in instruction.fields.items():
            if not isinstance(array, np.ndarray):
                continue
            known = found.setdefault(address(array), array)
            if name not in instruction.op.apart or known.shape != array.shape:
                stay.add(address(array))
    return {
        at: apart(array.shape, array.dtype)
        for at, array in found.items()
        if at not in stay and array.ndim == 2 and array.size and array.strides[0] % CROWDED == 0
    }


def moved(instruction: Instruction, to: dict[int, np.ndarray]) -> Instruction:
    """The same call on the new arrays."""
    fields = {
        k: to.get(address(v), v) if isinstance(v, np.ndarray) else v for k, v in instruction.fields.items()
    }
    return replace(instruction, fields=fields)
