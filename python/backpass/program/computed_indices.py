"""Indices that are computed of the inputs: the calls that compute them alone, so that they can be checked before a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..ops import expression, index_function, index_where, to_index, to_number
from .builder import Instruction
from .limits import Ranges, within

# What indices may be computed by. Of anything else, such as the largest output of a layer, they depend on weights.
COMPUTES = (index_function, index_where, to_index, to_number, expression)


@dataclass(eq=False, repr=False)
class ComputedIndices:
    """Indices of one shape of batch, the inputs of which they are computed, and the calls that do it."""

    inputs: dict[str, np.ndarray]
    calls: list[Instruction]
    # As they are given to what chooses by them, and below which number they have to be.
    ranges: list[tuple[np.ndarray, int]]


def computed_indices(
    instructions: Sequence[Instruction], ranges: Ranges, inputs: Mapping[str, np.ndarray]
) -> ComputedIndices:
    """Those of a network's forward pass. What is an input itself is left out, for that has limits."""
    found = ComputedIndices({}, [], [])
    wanted: set[int] = set()
    for index, size in ranges:
        calls, arrays = _behind(instructions, index)
        if not calls:
            continue
        sources = {name: x for name, x in inputs.items() if any(within(array, x) for array in arrays)}
        if sources and all(call.op in COMPUTES for call in calls):
            found.inputs |= sources
            found.ranges.append((index, size))
            wanted |= {id(call) for call in calls}
    found.calls = [call for call in instructions if id(call) in wanted]
    return found


def _behind(
    instructions: Sequence[Instruction], index: np.ndarray
) -> tuple[list[Instruction], list[np.ndarray]]:
    """The calls that compute an array, last first, and all that they read."""
    calls, arrays = [], [index]
    for call in reversed(instructions):
        written = [a for name in call.op.outputs if (a := call.fields[name]) is not None]
        if any(np.may_share_memory(a, array) for a in written for array in arrays):
            calls.append(call)
            arrays += [a for name in call.op.inputs if isinstance(a := call.fields[name], np.ndarray)]
            if call.op not in COMPUTES:
                break
    return calls, arrays
