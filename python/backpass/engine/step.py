"""The training step: the one place where its instructions stand in a row.

gather (a batch) | forward | loss | backward | penalty | schedule, norm, guard, optimizer | running statistics, accuracy |
counters
"""

from collections.abc import Sequence

import numpy as np

from ..ops import advance
from ..optim.tables import TableRows
from ..program import Builder, Instruction, Tensor, address, call
from ..program.plan import BackwardPlan, TrainingPlan
from .engine import Engine
from .tables import check_tables, still_rows


def step(
    plan: TrainingPlan,
    engine: Engine,
    counters: dict[str, np.ndarray],
    *,
    gather: Sequence[Instruction] = (),
    passes: Sequence[Instruction] | None = None,
    penalty: Sequence[Instruction] = (),
    count: np.ndarray | None = None,
    rows: int = 0,
    correct: np.ndarray | None = None,
    recorded: Sequence[Instruction] = (),
) -> list[Instruction]:
    """The instructions of one step on the batch of a plan.

    Args:
        counters: the buffers step (1,), cursor (1,) and total (2,).
        gather: what fills the batch.
        passes: the plan's passes where they are not as `loss_and_gradients` gives them.
        penalty: what comes on top of the loss and the gradients.
        count: (1,) the weight of the batch in the mean loss of an epoch; default the plan's.
        rows: that the cursor moves on.
        correct: (2,) what the loss's metric adds up in; default: it is not computed.
        recorded: what keeps the outputs of the batch for other metrics.
    """
    return [
        *gather,
        *(loss_and_gradients(plan) if passes is None else passes),
        *update(
            engine, plan.loss, counters, plan=plan, penalty=penalty, kept=[*plan.kept, *metric(plan, engine, correct), *recorded],
            count=plan.count if count is None else count, rows=rows,
        ),
    ]  # fmt: skip


def loss_and_gradients(plan: TrainingPlan) -> list[Instruction]:
    """Forward pass, loss and backward pass."""
    return [*plan.forward, *plan.loss_part, *plan.backward]


def metric(plan: TrainingPlan, engine: Engine, correct: np.ndarray | None) -> list[Instruction]:
    """What counts the rows of a batch that are right. Rows that are mixed (MixUp) have no class to compare with."""
    if correct is None or plan.targets or not isinstance(plan.out, np.ndarray):
        return []
    builder = Builder(engine.dtype, training=False)
    assert isinstance(plan.target, np.ndarray)
    engine.loss.emit_metric(builder, Tensor(plan.out), plan.target, plan.weighed, correct)
    return builder.instructions


def trained_parts(engine: Engine) -> list[tuple[int, slice]]:
    """The parts of the flat vectors that are trained, and the group that trains each; gradients of frozen ones are made 0."""
    flat, groups, still = engine.flat, engine.groups(), still_rows(engine.net, engine.flat, engine.optimizer)
    if not flat.frozen and not flat.sparse and not still and not any(groups):
        return [(0, slice(None))]
    parts: list[tuple[int, slice]] = []
    for number, start in enumerate(flat.offsets):
        end = flat.offsets[number + 1] if number + 1 < len(flat.offsets) else flat.size
        if number in flat.frozen:
            flat.grads[start:end] = 0
        if number in flat.frozen | flat.sparse:
            continue
        hole = still.get(number, slice(start, start))
        for first, last in ((start, hole.start), (hole.stop, end)):
            if parts and parts[-1][0] == groups[number] and parts[-1][1].stop == first:
                parts[-1] = groups[number], slice(parts[-1][1].start, last)
            elif first < last:
                parts.append((groups[number], slice(first, last)))
    return parts


def trained_tables(engine: Engine, plan: BackwardPlan | None) -> list[TableRows]:
    """The tables of which a step on a plan trains the rows that occur."""
    flat, groups = engine.flat, engine.groups()
    found = {address(table.gradient): table for table in plan.tables} if plan else {}
    return [
        TableRows(groups[number], flat.part(number), table.rows, table.count, table.drows)
        for number in sorted(flat.sparse - flat.frozen)
        if (table := found.get(address(flat.view(number, flat.grads))))
    ]


def update(
    engine: Engine,
    loss: np.ndarray,
    counters: dict[str, np.ndarray],
    *,
    plan: BackwardPlan | None = None,
    penalty: Sequence[Instruction] = (),
    kept: Sequence[Instruction] = (),
    count: np.ndarray,
    rows: int = 0,
) -> list[Instruction]:
    """The second half of a step, once the gradients are there. The guard in it looks at `loss` and the norm of the gradient.

    plan: whose backward pass gave them, which only tables with sparse=True ask for.
    """
    if engine.flat.sparse:
        check_tables(engine.net, engine.optimizer)
    return [
        *penalty,
        *engine.optimizer.emit(
            engine.flat.params,
            engine.flat.grads,
            engine.optimizer_state,
            engine.optimizer_step,
            loss,
            engine.halt,
            trained_parts(engine),
            trained_tables(engine, plan) if engine.flat.sparse else (),
            [engine.flat.part(number) for number in sorted(engine.flat.sparse)],
        ),
        *kept,
        call(advance, **counters, loss=loss, count=count, rows=rows),
    ]
