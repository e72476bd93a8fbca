"""Blocks: which arrays of a program share memory, and from which instruction to which they hold something."""

from collections.abc import Iterable

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ..system.memory import ALIGNMENT
from .builder import Instruction
from .tensor import address


class Block:
    """Memory of arrays that overlap: from byte `low` to before byte `high`."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        # The first and the last instruction that touch it.
        self.first = self.last = -1
        # Whether it may lie elsewhere: nobody but the instructions touches it, and none relies on what it holds before the first.
        self.moves = False
        # Whether one instruction wrote all of it.
        self.complete = False
        # Arrays whose elements are all written.
        self.known: list[np.ndarray] = []

    @property
    def size(self) -> int:
        """Bytes up to the next multiple of ALIGNMENT."""
        return -(-(self.high - self.low) // ALIGNMENT) * ALIGNMENT

    def read(self, array: np.ndarray, number: int) -> None:
        """Instruction `number` reads an array of it."""
        self._touch(number)
        if self.moves and not self.complete and not any(_same(array, other) for other in self.known):
            self.moves = self._written(array)
            self.known.append(array)

    def write(self, array: np.ndarray, number: int) -> None:
        """Instruction `number` writes an array of it."""
        self._touch(number)
        self.complete |= array.nbytes == self.high - self.low
        self.known.append(array)

    def _touch(self, number: int) -> None:
        self.first, self.last = number if self.first < 0 else self.first, number

    def _written(self, array: np.ndarray) -> bool:
        """Whether each element of an array is one of those known."""
        item = array.itemsize
        marks = np.zeros((self.high - self.low) // item, bool)

        def marks_of(part: np.ndarray) -> np.ndarray:
            strides = [stride // item for stride in part.strides]
            return np.ndarray(part.shape, bool, marks, (address(part) - self.low) // item, strides)

        for part in self.known:
            marks_of(part)[...] = True
        return bool(marks_of(array).all())


class Blocks:
    """The blocks of some arrays; those without elements are in none."""

    def __init__(self, arrays: Iterable[np.ndarray]) -> None:
        self._arrays = {id(array): array for array in arrays if array.size}
        self._blocks: dict[int, Block] = {}
        block = Block(0, 0)
        for low, high, key in sorted((*bounds(array), key) for key, array in self._arrays.items()):
            if low < block.high:
                block.high = max(block.high, high)
            else:
                block = Block(low, high)
            self._blocks[key] = block

    def of(self, array: np.ndarray) -> Block | None:
        """The block of one of the arrays."""
        return self._blocks.get(id(array))

    def all(self) -> list[Block]:
        """Every block once, the first in memory first."""
        return [*dict.fromkeys(self._blocks.values())]

    def follow(self, program: Iterable[Instruction]) -> None:
        """Find from which instruction to which each block holds something, and what has to stay."""
        for number, instruction in enumerate(program):
            op, arrays = instruction.op, arrays_of(instruction)
            # What is on both sides of an op is read first.
            for name, array in arrays.items():
                if (name in op.inputs or name not in op.outputs) and (block := self.of(array)):
                    block.read(array, number)
            for name in op.outputs:
                if name in arrays and (block := self.of(arrays[name])):
                    block.write(arrays[name], number)


def arrays_of(instruction: Instruction) -> dict[str, np.ndarray]:
    """The arrays of an instruction by name."""
    return {name: value for name, value in instruction.fields.items() if isinstance(value, np.ndarray)}


def bounds(array: np.ndarray) -> tuple[int, int]:
    """The first byte of an array, and the one behind its last."""
    if array.flags.c_contiguous:
        return (start := address(array)), start + array.nbytes
    low, high = byte_bounds(array)
    return int(low), int(high)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return address(a) == address(b) and a.shape == b.shape and a.strides == b.strides
