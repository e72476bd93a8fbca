"""Memory of inference: a buffer lies where others lay that nobody reads any more."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ..system.memory import aligned
from .blocks import Block, Blocks, arrays_of
from .plan import Plan
from .tensor import address


def reused(plan: Plan, buffers: Sequence[np.ndarray]) -> Plan:
    """The plan with its buffers in one arena, where those share memory that are not needed at the same time.

    What is handed out stays where it is, and what the plan reads before it writes it. What is no buffer, such as parameters,
    state and constants, stays as well.
    """
    arrays = [array for instruction in plan.forward for array in arrays_of(instruction).values()]
    blocks = Blocks([*plan.handed_out, *buffers, *arrays])
    own, handed_out = _of(blocks, buffers), _of(blocks, plan.handed_out)
    for block in own - handed_out:
        block.moves = True
    blocks.follow(plan.forward)
    moving = [block for block in blocks.all() if block.moves and block.first >= 0]
    starts = _starts(moving)
    arena = aligned((max((at + block.size for block, at in starts.items()), default=0),), np.uint8)

    def moved(array: np.ndarray) -> np.ndarray:
        block = blocks.of(array)
        if block is None or block not in starts:
            return array
        # The block begins with a buffer, which is aligned here and there.
        start = starts[block] + address(array) - block.low
        there: np.ndarray = np.ndarray(array.shape, array.dtype, arena, start, array.strides)
        there.flags.writeable = array.flags.writeable
        return there

    forward = [
        replace(i, fields=i.fields | {name: moved(array) for name, array in arrays_of(i).items()})
        for i in plan.forward
    ]
    staying = {block for block in own if block.first >= 0 or block in handed_out}.difference(moving)
    return replace(
        plan, forward=forward, bytes=arena.nbytes + sum(block.high - block.low for block in staying)
    )


def _of(blocks: Blocks, arrays: Iterable[np.ndarray]) -> set[Block]:
    return {block for array in arrays if (block := blocks.of(array))}


def _starts(blocks: Iterable[Block]) -> dict[Block, int]:
    """Where in the arena each block starts: the largest first, each as low as those allow that are needed at the same time."""
    # Of the same size the earlier first, or they take more than they need.
    order = sorted(blocks, key=lambda block: (-block.size, block.first))
    size = [block.size for block in order]
    first, last = (np.array([getattr(b, name) for b in order], int) for name in ("first", "last"))
    start = np.zeros(len(order), int)
    for number, block in enumerate(order):
        # No output lies where an input of its instruction lies: a block is needed up to its last instruction, which counts.
        beside = np.flatnonzero((first[:number] <= block.last) & (last[:number] >= block.first))
        at = 0
        for other in beside[np.argsort(start[beside])].tolist():
            if at + block.size <= start[other]:
                break
            at = max(at, int(start[other]) + size[other])
        start[number] = at
    return dict(zip(order, start.tolist(), strict=True))
