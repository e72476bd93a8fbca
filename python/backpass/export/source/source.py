"""Source: the text of a C file, and where in it the memory of a program lies."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...program import Instruction, Plan, address
from ...program.blocks import Block, Blocks, arrays_of
from ..plans import refused
from .numbers import comment, rows_of_numbers

FUNCTION = "bp.export.c"
MACROS = ("INPUTS", "OUTPUTS", "SCRATCH_BYTES")


class Temporary(NamedTuple):
    """An argument of a C function: so many floats that it works with."""

    size: int


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
        # Floats of all constants, of what the plan keeps in the scratch memory, and of all that memory.
        self.stored = self._placed = self.scratch = 0
        self.instruction: Instruction | None = None
        self._known = known
        assert isinstance(plan.out, np.ndarray)
        self._out = plan.out
        arrays = [array for call in plan.forward for array in arrays_of(call).values()]
        self._blocks = Blocks([plan.x, plan.out, *known.values(), *arrays])
        self._written = self._written_blocks()
        first = self._blocks.of(plan.x)
        assert first is not None
        # What each block is called, once somebody has asked for it.
        self._bases = {first: "x"}

    def _written_blocks(self) -> set[Block]:
        """The blocks that are no constants."""
        written = set()
        for call in self.plan.forward:
            for name in call.op.outputs:
                array = call.fields[name]
                block = None if array is None or array.dtype.kind != "f" else self._blocks.of(array)
                if block is not None:
                    written.add(block)
        return written

    def pointer(self, array: np.ndarray | None) -> str:
        """An expression for the address of an array; NULL for one that is absent."""
        if array is None:
            return "NULL"
        block = self._blocks.of(array)
        if array.dtype.kind != "f" or block is None:
            raise self.refuse(f"which reads {array.dtype} {array.shape}, and the C file has floats alone")
        if block not in self._bases:
            self._bases[block] = (
                self._place(block) if block in self._written else self._constant(block, array)
            )
        base = self._bases[block]
        offset = (address(array) - block.low) // array.itemsize
        place, _, start = base.partition(" + ")
        total = int(start or 0) + offset
        place = f"{self.name}_scratch" if place == "scratch" else place
        return f"{place} + {total}" if total else place

    def call(self, function: str, text: str, *arguments: Any) -> None:
        """Call a C function, whose text is written once: in it NAME stands for the name of the model."""
        self.need(function, text)
        words = ", ".join(self._word(argument) for argument in arguments)
        self.line(f"{self.name}_{function}({words});")

    def _word(self, argument: Any) -> str:
        if isinstance(argument, Temporary):
            # Behind all that is placed by now: what comes to lie there later is not written yet.
            self.scratch = max(self.scratch, self._placed + argument.size)
            return f"{self.name}_scratch + {self._placed}"
        return str(int(argument) if isinstance(argument, bool) else argument)

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

    def _place(self, block: Block) -> str:
        """The name of a block that instructions write: the output, or a part of the scratch memory."""
        if block is self._blocks.of(self._out) and self._out.nbytes == block.high - block.low:
            return "y"
        start = self._placed
        self._placed += -(-(block.high - block.low) // self._out.itemsize)
        self.scratch = max(self.scratch, self._placed)
        return f"scratch + {start}"

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
            f"{comment(label)}\nstatic const float {name}[{size}] = {{\n{rows_of_numbers(flat)}\n}};"
        )
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
