"""Local slopes: f'(x) of layers that work element by element, from their own backward pass for dL/dy = 1."""

import numpy as np

from ...backends import Backend
from ...program import call
from ...program.plan import BackwardPlan
from ...program.tensor import dense_order
from ...system.memory import aligned
from .recorder import Call

# Backward passes that multiply dy by a number for each element.
OPS = ("activation_backward", "dropout_backward")


def slopes_of(
    calls: list[Call], plan: BackwardPlan, backend: Backend, threads: int
) -> dict[Call, np.ndarray]:
    """The slopes of the calls that have some; of a layer that gives what it takes, 1 everywhere."""
    found: dict[Call, np.ndarray] = {}
    probes = []
    for one in calls:
        start, end = one.forward
        if start == end and one.output is one.taken[0]:
            found[one] = np.ones_like(one.taken[0].array)
        instructions = plan.backward[one.backward[0] : one.backward[1]] if one.backward[0] >= 0 else []
        if len(instructions) != 1 or instructions[0].op.name not in OPS:
            continue
        (instruction,) = instructions
        dy = instruction.fields["dy"]
        slope = aligned(dy.shape, dy.dtype)
        fields = instruction.fields | {"dy": np.ones_like(dy), "dx": slope}
        probes.append(
            call(instruction.op, **{k: v for k, v in fields.items() if k in instruction.op.parameters})
        )
        found[one] = _as_it_lies(slope, one.taken[0].array)
    if probes:
        backend.compile(probes).run(1, threads)
    return found


def _as_it_lies(slope: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What an op computed in the order of x's memory, as users see x: images may have their channels last."""
    order = dense_order(x) or [*range(x.ndim)]
    lying = slope.reshape([x.shape[axis] for axis in order])
    return lying.transpose(np.argsort(order))
