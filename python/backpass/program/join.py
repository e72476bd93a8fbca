"""Joining: neighbouring element-wise instructions become one expression, so that a formula costs one pass through memory."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from .builder import Instruction
from .group import Arrays, Elementwise, Group, Needed, by_key, elementwise, overlap
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

    def place(item: Instruction | Group, reads: Arrays, writes: Arrays) -> None:
        for earlier in placed:
            earlier.reads.update(reads)
            earlier.writes.update(writes)
        out.append(item)

    def close(groups: list[Group]) -> None:
        for group in groups:
            still_open.remove(group)
            place(group, group.reads, group.writes)
            placed.append(Placed(group, {}, {}))

    for instruction in program:
        item = elementwise(instruction)
        if item is None:
            reads = by_key(instruction, instruction.op.inputs)
            writes = by_key(instruction, instruction.op.outputs)
            close([group for group in still_open if group.touches(reads, writes)])
            place(instruction, reads, writes)
            continue
        home = next((g for g in reversed(still_open) if g.join(item, instruction, needed)), None)
        close([group for group in still_open if group is not home and group.touches(item.reads, item.writes)])
        if home is None and not _joins_placed(placed, item, instruction, needed):
            still_open.append(Group(item, instruction))
    close([*still_open])
    return [i for item in out for i in (item.done(needed) if isinstance(item, Group) else [item])]


class Placed(NamedTuple):
    """A group that is done at its place, and what the instructions behind it read and write."""

    group: Group
    reads: Arrays
    writes: Arrays

    def join(self, item: Elementwise, instruction: Instruction, needed: Needed) -> bool:
        """Take an instruction in that stood later, if it may as well come here."""
        if overlap(self.writes, item.reads | item.writes) or overlap(self.reads, item.writes):
            return False
        return self.group.join(item, instruction, needed)


def _joins_placed(
    placed: Sequence[Placed], item: Elementwise, instruction: Instruction, needed: Needed
) -> bool:
    """Whether one of the placed groups took the instruction in; to those before it, it now stands behind them."""
    for number in range(len(placed) - 1, -1, -1):
        if placed[number].join(item, instruction, needed):
            for earlier in range(number):
                placed[earlier].reads.update(item.reads)
                placed[earlier].writes.update(item.writes)
            return True
    return False
