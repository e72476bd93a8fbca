"""Meeting: where the program of a rank stops until all ranks have added up what they have so far."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

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
