"""Nodes and initialisers of an ONNX graph, and their names."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...program import Instruction
from ..batches import Pair
from ..plans import refused

FUNCTION = "bp.export.onnx"
# Where a file names the arrays that are learned.
LEARNED = "backpass.parameters"
# In a shape: the dimension of the batch.
BATCH = -1
SEVERAL = "of which several dimensions depend on the size of the batch"


class Value(NamedTuple):
    """A value of the graph, and the arrays whose contents it is."""

    name: str
    arrays: Pair


class Nodes:
    """Nodes are named after the layer of the instruction that is being written, constants too."""

    def __init__(self, names: Sequence[str]) -> None:
        """names: those that are taken."""
        self.nodes: list[Any] = []
        self.initialisers: dict[str, np.ndarray] = {}
        self.instruction: Instruction | None = None
        self._names = {*names}
        self._constants: dict[Any, str] = {}

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node; the name of its output."""
        return self.node_of_several(kind, inputs, 1, **attributes)[0]

    def node_of_several(self, kind: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Append a node; the names of its outputs."""
        from onnx import helper

        name = self.free(f"{self._layer}/{kind}" if self._layer else kind)
        given = [name, *(self.free(f"{name}.{number}") for number in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, inputs, given, name=name, **attributes))
        return given

    def reshape(self, name: str, sizes: Sequence[int]) -> str:
        """A value in another shape; one size may be -1."""
        return self.node("Reshape", [name, self.constant(np.array(sizes, np.int64))])

    def slice(self, name: str, axis: int, start: int, end: int, step: int = 1) -> str:
        """A part of a value along one axis."""
        bounds = (self.constant(np.array([number])) for number in (start, end, axis, step))
        return self.node("Slice", [name, *bounds])

    def constant(self, array: Any) -> str:
        """An initialiser with these numbers: the same one for the same numbers."""
        array = np.asarray(array)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._constants:
            layer = self._layer
            name = self.free(f"{layer}.constant" if layer else "constant")
            self.initialisers[name], self._constants[key] = np.array(array, order="C"), name
        return self._constants[key]

    def output(self, value: str, name: str) -> None:
        """Give a value out under a name."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}/Identity"))

    def prune(self, outputs: Sequence[str]) -> None:
        """Drop nodes and initialisers that no output needs."""
        needed, nodes = {*outputs}, []
        for node in reversed(self.nodes):
            if needed & {*node.output}:
                needed |= {*node.input}
                nodes.append(node)
        self.nodes = nodes[::-1]
        self.initialisers = {name: array for name, array in self.initialisers.items() if name in needed}

    def merged(self, one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
        """Sizes of both plans as one, with -1 where they differ."""
        sizes = tuple(a if a == b else BATCH for a, b in zip(one, other, strict=True))
        if sizes.count(BATCH) > 1:
            raise self.refuse(SEVERAL)
        return sizes

    def refuse(self, why: str) -> ValueError:
        """The error for the instruction that is being written."""
        assert self.instruction is not None
        return refused(FUNCTION, self.instruction, why)

    @property
    def _layer(self) -> str:
        return self.instruction.layer if self.instruction else ""

    def free(self, name: str) -> str:
        """This name, or one with a number behind it that is not taken."""
        number, found = 1, name
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found
