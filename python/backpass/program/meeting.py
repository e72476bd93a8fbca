"""Where the program of a rank stops: until all ranks have added up what they have so far, or to send what is complete."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from .blocks import arrays_of, bounds
from .builder import Instruction
from .tensor import address


class Meeting(Protocol):
    """What a layer that computes with the rows of all ranks needs of the others."""

    # An array that `hear` fills. The ranks meet before the first instruction that reads it.
    heard: np.ndarray

    def tell(self, weight: float) -> np.ndarray:
        """What this rank adds, one-dimensional float64; weight: that of its rows in the loss."""

    def hear(self, total: np.ndarray, weight: float) -> None:
        """Go on with the sum over the ranks."""


def cut(program: Sequence[Instruction], meetings: Sequence[Meeting]) -> list[list[Instruction]]:
    """The parts of a program before, between and behind its meetings."""
    parts, rest = [], [*program]
    for meeting in meetings:
        place = next(
            number
            for number, instruction in enumerate(rest)
            if any(
                isinstance(value, np.ndarray) and address(value) == address(meeting.heard)
                for value in instruction.fields.values()
            )
        )
        parts.append(rest[:place])
        rest = rest[place:]
    return [*parts, rest]


def cut_behind(
    program: Sequence[Instruction], array: np.ndarray, starts: Sequence[int]
) -> list[list[Instruction]]:
    """The parts of a program: behind part n nothing touches array[starts[n]:] any more; the last part is the rest."""
    low, high = bounds(array)
    places = [0]
    for start in starts:
        begin = low + start * array.itemsize
        touching = (
            number + 1
            for number, instruction in enumerate(program)
            for other, end in map(bounds, arrays_of(instruction).values())
            if other < high and end > begin
        )
        places.append(max(touching, default=0))
    places = [max(places[: number + 1]) for number in range(len(places))]
    return [[*program[start:end]] for start, end in pairwise([*places, len(program)])]
