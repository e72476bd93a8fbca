"""What a network computes for batches of two sizes: the same ops with the same numbers, or it cannot be exported."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..program import Instruction, Plan
from ..program.blocks import Blocks, arrays_of
from .plans import refused

# Rows of two plans: what differs between them is the batch. Primes that other dimensions seldom have.
ROWS = (11, 13)
DIFFERS = "the network computes something else for another size of batch"
# An array of the plan for the fewer rows, and of the one for more: what differs is the batch.
Pair = tuple[np.ndarray, np.ndarray]


def outline(plan: Plan) -> list[Any]:
    """Buffers, ops, and which arrays they have."""
    return [len(plan.buffers), *((i.op, [*arrays_of(i)]) for i in plan.forward)]


def check_numbers(function: str, plans: tuple[Plan, Plan], parameters: Iterable[np.ndarray]) -> None:
    """ValueError by the name of the op if a number or a constant is another one for the other size of batch."""
    fixed = [_constants(plan, parameters) for plan in plans]
    for one, other in zip(plans[0].forward, plans[1].forward, strict=True):
        for name in one.op.scalars:
            if one.fields[name] != other.fields[name]:
                raise refused(function, one, f"of which {name} depends on the size of the batch")
        for name, array in arrays_of(one).items():
            pair = array, other.fields[name]
            if id(pair[0]) in fixed[0] and id(pair[1]) in fixed[1] and constant(pair) is None:
                raise differs(function, one)


def differs(function: str, instruction: Instruction) -> ValueError:
    """What an exporter says of a constant that no row has alone."""
    return refused(function, instruction, "of which a constant depends on the size of the batch")


def constant(pair: Pair) -> np.ndarray | None:
    """What a constant is for each row of the batch; None where it is something else for the other size of batch."""
    one, other = pair
    for axis in range(one.ndim):
        if one.shape[axis] != other.shape[axis]:
            rows = one.take([0], axis), other.take([0], axis)
            if (one == rows[0]).all() and (other == rows[1]).all():
                one, other = rows
    same = one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return one if same else None


def _constants(plan: Plan, parameters: Iterable[np.ndarray]) -> set[int]:
    """The arrays of a plan, by their ids, that are neither inputs nor parameters, and that no instruction writes."""
    given = [*plan.inputs.values(), *parameters]
    arrays = [array for i in plan.forward for array in arrays_of(i).values()]
    blocks = Blocks([*given, *arrays])
    changing = {blocks.of(array) for array in given}
    changing |= {
        blocks.of(i.fields[name]) for i in plan.forward for name in i.op.outputs if i.fields[name] is not None
    }
    return {id(array) for array in arrays if blocks.of(array) not in changing and array.size}
