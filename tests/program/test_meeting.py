"""Where the program of a rank is cut to send gradients."""

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.engine.step import loss_and_gradients
from backpass.program.blocks import arrays_of
from backpass.program.meeting import cut_behind


@pytest.mark.parametrize("order", [[4, 2], [5, 3], [2]])
def test_what_is_sent_is_complete(order: list[int]) -> None:
    twice = nn.Linear(8, 8)
    model = bp.Model(
        nn.Sequential(nn.Linear(8, 8), twice, nn.Tanh(), twice, nn.ReLU(), nn.Linear(8, 2)), "mse"
    )
    model.fit(np.ones((4, 8)), np.ones((4, 2)))
    flat, plan = model.engine.flat, model.engine.plans.trained
    program = loss_and_gradients(plan)
    starts = [flat.offsets[number] for number in order]
    parts = cut_behind(program, flat.grads, starts)
    assert [i for part in parts for i in part] == program
    assert len(parts) == len(starts) + 1
    for number, start in enumerate(starts):
        for later in parts[number + 1 :]:
            for instruction in later:
                for array in arrays_of(instruction).values():
                    assert not np.shares_memory(array, flat.grads[start:])
    # No later than it has to be: the last layer's do not wait for the first layer's.
    for part, start in zip(parts, starts, strict=False):
        assert not part or any(
            np.shares_memory(array, flat.grads[start:]) for array in arrays_of(part[-1]).values()
        )
    assert order[0] < 4 or len(parts[0]) < len(program)
