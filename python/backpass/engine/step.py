"""The training step: the one place where its instructions stand in a row.

before (gather a batch) | forward | loss | backward | penalty | schedule, norm, guard, optimizer | running statistics | counters
"""

from collections.abc import Sequence

import numpy as np

from ..ops import advance
from ..program import Instruction, call
from ..program.plan import TrainingPlan
from .engine import Engine


def step(
    plan: TrainingPlan,
    engine: Engine,
    counters: dict[str, np.ndarray],
    *,
    before: Sequence[Instruction] = (),
    passes: Sequence[Instruction] | None = None,
    penalty: Sequence[Instruction] = (),
    count: np.ndarray | None = None,
    rows: int = 0,
) -> list[Instruction]:
    """The instructions of one step on the batch of a plan.

    Args:
        counters: the buffers step (1,), cursor (1,) and total (2,).
        before: what fills the batch.
        passes: the plan's passes where they are not as `loss_and_gradients` gives them.
        penalty: what comes on top of the loss and the gradients.
        count: (1,) the weight of the batch in the mean loss of an epoch; default the plan's.
        rows: that the cursor moves on.
    """
    return [
        *before,
        *(loss_and_gradients(plan) if passes is None else passes),
        *update(
            engine, plan.loss, counters, penalty=penalty, kept=plan.kept, rows=rows,
            count=plan.count if count is None else count,
        ),
    ]  # fmt: skip


def loss_and_gradients(plan: TrainingPlan) -> list[Instruction]:
    """Forward pass, loss and backward pass."""
    return [*plan.forward, *plan.loss_part, *plan.backward]


def update(
    engine: Engine,
    loss: np.ndarray,
    counters: dict[str, np.ndarray],
    *,
    penalty: Sequence[Instruction] = (),
    kept: Sequence[Instruction] = (),
    count: np.ndarray,
    rows: int = 0,
) -> list[Instruction]:
    """The second half of a step, once the gradients are there. The guard in it looks at `loss` and the norm of the gradient."""
    return [
        *penalty,
        *engine.optimizer.emit(
            engine.flat.params,
            engine.flat.grads,
            engine.optimizer_state,
            engine.step_count,
            loss,
            engine.halt,
        ),
        *kept,
        call(advance, **counters, loss=loss, count=count, rows=rows),
    ]
