"""Source: the text of a C file, and where in it the memory of a program lies."""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...program import Instruction, Plan, address
from ...program.blocks import Block, Blocks, arrays_of
from ..plans import refused
from .numbers import rows_of_numbers

FUNCTION = "bp.export.c"
MACROS = ("INPUTS", "OUTPUTS", "SCRATCH_BYTES")


class Source:
    """What the writers of ops write into.

    Arrays are the input `x`, the output `y`, a part of the scratch memory, or constants. Each C function is written once.
    """

    def __init__(self, name: str, plan: Plan, known: Mapping[str, np.ndarray]) -> None:
        self.name, self.plan = name, plan
        # The texts of C functions and constants by their names, and the lines of the function that predicts.
        self.functions: dict[str, str] = {}
        self.constants: dict[str, str] = {}
        self.lines: list[str] = []
        # Floats of all constants, of what the plan keeps in the scratch memory, and of what an instruction works with beside it.
        self.stored = self._placed_size = self._temporary = 0
        self.instruction: Instruction | None = None
        self._known = known
        assert isinstance(plan.out, np.ndarray)
        self._out = plan.out
        arrays = [array for call in plan.forward for array in arrays_of(call).values()]
        self._blocks = Blocks([plan.x, plan.out, *known.values(), *arrays])
        self._bases = self._placed()

    def _placed(self) -> dict[Block, str]:
        """What each block is called that is no constant."""
        written: dict[Block, None] = {}
        for call in self.plan.forward:
            for name in call.op.outputs:
                array = call.fields[name]
                block = None if array is None or array.dtype.kind != "f" else self._blocks.of(array)
                if block is not None:
                    written[block] = None
        bases = {}
        out = self._blocks.of(self._out)
        for block in written:
            if block is out and self._out.nbytes == block.high - block.low:
                bases[block] = "y"
            else:
                bases[block] = f"scratch + {self._placed_size}"
                self._placed_size += -(-(block.high - block.low) // self._out.itemsize)
        first = self._blocks.of(self.plan.x)
        assert first is not None
        return bases | {first: "x"}

    def pointer(self, array: np.ndarray | None) -> str:
        """An expression for the address of an array; NULL for one that is absent."""
        if array is None:
            return "NULL"
        block = self._blocks.of(array)
        if array.dtype.kind != "f" or block is None:
            raise self.refuse(f"which reads {array.dtype} {array.shape}, and the C file has floats alone")
        base = self._bases.get(block) or self._constant(block, array)
        offset = (address(array) - block.low) // array.itemsize
        place, _, start = base.partition(" + ")
        total = int(start or 0) + offset
        place = f"{self.name}_scratch" if place == "scratch" else place
        return f"{place} + {total}" if total else place

    def temporary(self, size: int) -> str:
        """So many floats that one instruction works with."""
        self._temporary = max(self._temporary, size)
        return f"{self.name}_scratch + {self._placed_size}"

    @property
    def scratch(self) -> int:
        """The floats of the scratch memory."""
        return self._placed_size + self._temporary

    def call(self, function: str, text: str, *arguments: Any) -> None:
        """Call a C function, whose text is written once: in it NAME stands for the name of the model."""
        self.need(function, text)
        words = ", ".join(str(int(a) if isinstance(a, bool) else a) for a in arguments)
        self.line(f"{self.name}_{function}({words});")

    def need(self, function: str, text: str) -> None:
        """Write a C function, unless it is there."""
        self.functions.setdefault(function, text.replace("NAME", self.name).strip())

    def line(self, text: str) -> None:
        """A line, or several, of the function that predicts."""
        self.lines += [f"    {line}" for line in text.splitlines()]

    def refuse(self, why: str) -> ValueError:
        """The error for the instruction that is being written."""
        assert self.instruction is not None
        return refused(FUNCTION, self.instruction, why)

    def finish(self) -> None:
        """Copy the output where it does not lie there yet."""
        block = self._blocks.of(self._out)
        if block is None or self._bases.get(block) != "y":
            self.line(f"memcpy(y, {self.pointer(self._out)}, {self._out.size} * sizeof(float));")

    def _constant(self, block: Block, array: np.ndarray) -> str:
        """The name of a block that no instruction writes."""
        found = next((k for k, known in self._known.items() if self._blocks.of(known) is block), None)
        layer = self.instruction.layer if self.instruction else ""
        label = found or (f"{layer}.constant" if layer else "constant")
        size = (block.high - block.low) // array.itemsize
        # A block is memory without gaps, from the first element of one of its arrays to the last of another.
        flat: np.ndarray = np.lib.stride_tricks.as_strided(self._first(block), (size,), (array.itemsize,))
        name = self._free(f"{self.name}_{re.sub(r'[^A-Za-z0-9_]', '_', label)}")
        self.constants[name] = (
            f"/* {label!a} */\nstatic const float {name}[{size}] = {{\n{rows_of_numbers(flat)}\n}};"
        )
        self._bases[block] = name
        self.stored += size
        return name

    def _first(self, block: Block) -> np.ndarray:
        """The array with which a block begins."""
        arrays = [*self._known.values(), *(a for i in self.plan.forward for a in arrays_of(i).values())]
        return next(a for a in arrays if self._blocks.of(a) is block and address(a) == block.low)

    def _free(self, name: str) -> str:
        words = {f"{self.name}_{word}" for word in ("predict", "scratch", *self.functions)}
        taken = {*self.constants, *words, *(f"{self.name.upper()}_{macro}" for macro in MACROS)}
        number, found = 1, name
        while found in taken:
            number += 1
            found = f"{name}_{number}"
        return found


def elements(array: np.ndarray) -> int:
    """How many floats an array has."""
    return math.prod(array.shape)
