"""Joining: neighbouring element-wise instructions become one expression, so that a formula costs one pass through memory."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .builder import Instruction
from .group import Elementwise, Group, Needed, elementwise, overlap
from .plan import Plan
from .tensor import Tensor

# Groups at their places that later instructions may still join.
LATE = 4
STAGES = ("forward", "loss_part", "backward")


def joined(plan: Plan, viewed: Iterable[Tensor]) -> Plan:
    """The plan with its element-wise instructions joined.

    viewed: tensors that views or the optimizer read as well.
    """
    stages = {name: program for name, program in plan.parts.items() if name in STAGES}
    needed = Needed(plan.parts.values(), [*plan.handed_out, *(x.array for x in viewed)])
    return replace(plan, **{name: _joined(program, needed) for name, program in stages.items()})  # type: ignore[arg-type]


def _joined(program: Sequence[Instruction], needed: Needed) -> list[Instruction]:
    # Instructions, and groups in the places where they have to be done.
    out: list[Instruction | Group] = []
    still_open: list[Group] = []
    placed: deque[Placed] = deque(maxlen=LATE)

    def place(item: Instruction | Group, reads: Sequence[np.ndarray], writes: Sequence[np.ndarray]) -> None:
        for earlier in placed:
            earlier.reads.extend(reads)
            earlier.writes.extend(writes)
        out.append(item)

    def close(groups: list[Group]) -> None:
        for group in groups:
            still_open.remove(group)
            place(group, [*group.reads.values()], [*group.writes.values()])
            placed.append(Placed(group, [], []))

    for instruction in program:
        item = elementwise(instruction)
        reads, writes = _touched(instruction)
        if item is None:
            close([group for group in still_open if group.touches(reads, writes)])
            place(instruction, reads, writes)
            continue
        home = next((g for g in reversed(still_open) if g.join(item, instruction, needed)), None)
        close([group for group in still_open if group is not home and group.touches(reads, writes)])
        if home is None and not _joins_placed(placed, item, instruction, needed):
            still_open.append(Group(item, instruction))
    close([*still_open])
    return [i for item in out for i in (item.done(needed) if isinstance(item, Group) else [item])]


class Placed(NamedTuple):
    """A group that is done at its place, and what the instructions behind it read and write."""

    group: Group
    reads: list[np.ndarray]
    writes: list[np.ndarray]

    def join(self, item: Elementwise, instruction: Instruction, needed: Needed) -> bool:
        """Take an instruction in that stood later, if it may as well come here."""
        reads, writes = [*item.reads.values()], [*item.writes.values()]
        if overlap(self.writes, [*reads, *writes]) or overlap(self.reads, writes):
            return False
        return self.group.join(item, instruction, needed)


def _joins_placed(
    placed: Sequence[Placed], item: Elementwise, instruction: Instruction, needed: Needed
) -> bool:
    """Whether one of the placed groups took the instruction in; to those before it, it now stands behind them."""
    for number in range(len(placed) - 1, -1, -1):
        if placed[number].join(item, instruction, needed):
            for earlier in range(number):
                placed[earlier].reads.extend(item.reads.values())
                placed[earlier].writes.extend(item.writes.values())
            return True
    return False


def _touched(instruction: Instruction) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The arrays that an instruction reads, and those that it writes."""
    op, fields = instruction.op, instruction.fields

    def arrays(names: Iterable[str]) -> list[np.ndarray]:
        return [fields[name] for name in names if isinstance(fields.get(name), np.ndarray)]

    return arrays(op.inputs), arrays(op.outputs)
