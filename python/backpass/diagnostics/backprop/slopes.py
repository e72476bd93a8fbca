"""Local slopes: f'(x) of layers that work element by element, from their own backward pass for dL/dy = 1."""

import numpy as np

from ...backends import Backend
from ...program import call
from ...program.plan import BackwardPlan
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
        fields = instruction.fields | {"dy": np.ones_like(dy, order="C", subok=False), "dx": slope}
        probes.append(
            call(instruction.op, **{k: v for k, v in fields.items() if k in instruction.op.parameters})
        )
        if slope.size == one.taken[0].array.size:
            found[one] = slope.reshape(one.taken[0].shape)
    if probes:
        backend.compile(probes).run(1, threads)
    return found
