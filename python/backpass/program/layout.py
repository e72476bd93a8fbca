"""Padding between the rows of matrices.

Rows a multiple of 1 KiB apart fall into a few sets of a cache, so that products have to copy them first: about 2 % of a step
(benchmarks/LOG.md). A matrix that only products touch, and ops that say so by `Op.padded`, gets a cache line behind each row.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ..system.memory import padded_matrix
from .builder import Instruction
from .plan import OwnLossPlan, Plan, Spec
from .several import on_each
from .tensor import Tensor, address

# Bytes from row to row, or a multiple, at which rows crowd into a few sets.
CROWDED = 1024


def padded(plan: Plan, spec: Spec, viewed: Iterable[Tensor], buffers: list[np.ndarray]) -> Plan:
    """Give matrices padded rows where products gain by it; what is handed out or viewed stays as it is.

    buffers: those of the plan; the new ones are added.
    """
    instructions = [i for instructions in plan.parts.values() for i in instructions]
    # Most often there are none, and addresses take time.
    if not any(_crowded(x) for i in instructions for name, x in i.fields.items() if name in i.op.padded):
        return plan
    fixed = [*plan.handed_out]
    if spec.training:  # inputs are gathered into whatever rows they have
        rows = [source.name for source in spec.inputs if not source.in_place and len(source.shape) == 2]
        moving = [address(plan.inputs[name]) for name in rows]
        fixed = [array for array in fixed if address(array) not in moving]
    fixed += [x.array for x in viewed]
    new_arrays = _new_arrays(instructions, fixed)
    buffers += new_arrays.values()
    changes: dict[str, Any] = {
        name: [_moved(i, new_arrays) for i in instructions] for name, instructions in plan.parts.items()
    }
    changes["inputs"] = {name: new_arrays.get(address(x), x) for name, x in plan.inputs.items()}
    changes["bytes"] = plan.bytes + sum(a.strides[0] * len(a) - a.nbytes for a in new_arrays.values())
    if isinstance(plan, OwnLossPlan):
        changes["dout"] = on_each(lambda dout: new_arrays.get(address(dout), dout), plan.dout)
    return replace(plan, **changes)


def _new_arrays(instructions: Iterable[Instruction], fixed: Iterable[np.ndarray]) -> dict[int, np.ndarray]:
    """A matrix with padded rows, by the old one's address, for every matrix that gains by it and may move."""
    seen: dict[int, np.ndarray] = {}
    stay = {address(array) for array in fixed}
    for instruction in instructions:
        for name, array in instruction.fields.items():
            if not isinstance(array, np.ndarray):
                continue
            first_array = seen.setdefault(address(array), array)
            if name not in instruction.op.padded or first_array.shape != array.shape:
                stay.add(address(array))
    return {
        old: padded_matrix(array.shape, array.dtype)
        for old, array in seen.items()
        if old not in stay and _crowded(array)
    }


def _crowded(array: np.ndarray | None) -> bool:
    return array is not None and array.ndim == 2 and array.size > 0 and array.strides[0] % CROWDED == 0


def _moved(instruction: Instruction, new_arrays: dict[int, np.ndarray]) -> Instruction:
    """The same call on the new arrays."""
    fields = {
        k: new_arrays.get(address(v), v) if isinstance(v, np.ndarray) else v
        for k, v in instruction.fields.items()
    }
    return replace(instruction, fields=fields)
