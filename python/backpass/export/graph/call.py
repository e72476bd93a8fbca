"""Call: one instruction of both plans, as the writers of ops see it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...program import Instruction
from ..batches import Pair
from .graph import Graph, View, as_it_is
from .nodes import Value
from .views import carried_over


class Call:
    """An instruction: its arrays as values of the graph, its scalars by name."""

    def __init__(self, graph: Graph, one: Instruction, other: Instruction) -> None:
        self.graph, self.fields, self._others = graph, one.fields, other.fields
        graph.instruction = one

    def __getitem__(self, name: str) -> Any:
        """A scalar, or the array of the plan for few rows."""
        return self.fields[name]

    def has(self, name: str) -> bool:
        """Whether an optional array is there."""
        return self.fields[name] is not None

    def pair(self, name: str) -> Pair:
        """An array of both plans."""
        return self.fields[name], self._others[name]

    def read(self, name: str, view: View = as_it_is, expand: bool = True) -> str:
        """The value that a view of an array shows; expand: whole, where it repeats something."""
        value = self.graph.read(self.pair(name), view)
        one, other = self.pair(name)
        return self.graph.expanded(value, (view(one), view(other))) if expand else value

    def write(self, name: str, value: str, view: View = as_it_is) -> None:
        """A view of an array shows this value from now on."""
        if self.has(name):
            self.graph.write(self.pair(name), value, view)

    def copied(self, name: str) -> bool:
        """y shows the value of another array in another order of memory; False where one of them is a part of something."""
        found = self.graph.value(self.pair(name))
        if found is None or not self.graph.is_whole(self["y"]):
            return False
        shown = [
            carried_over(*arrays)
            for arrays in zip(found.arrays, self.pair(name), self.pair("y"), strict=True)
        ]
        if shown[0] is None or shown[1] is None:
            return False
        self.graph.write_into(self.pair("y"), Value(found.name, (shown[0], shown[1])))
        return True

    def each(self, names: Sequence[str], compute: Callable[..., str]) -> bool:
        """y = compute(values of arrays), in the order in which all of them lie in memory; False where that is not one."""
        dense = all(self[name].flags.c_contiguous for name in [*names, "y"])
        if not dense or not self.graph.is_whole(self["y"]):
            return False
        found = [self.graph.value(self.pair(name)) for name in names]
        orders = {(value.arrays[0].shape, value.arrays[0].strides) for value in found if value}
        if None in found or len(orders) != 1 or any(self[name].shape != self["y"].shape for name in names):
            return False
        values = [value for value in found if value]
        y = compute(*(value.name for value in values))
        one, other = (
            as_strided(a, b.shape, b.strides) for a, b in zip(self.pair("y"), values[0].arrays, strict=True)
        )
        self.graph.write_into(self.pair("y"), Value(y, (one, other)))
        return True

    def sizes(self, name: str, view: View = as_it_is) -> tuple[int, ...]:
        """The shape of an array, with -1 for the dimension of the batch."""
        one, other = self.pair(name)
        return self.graph.sizes((view(one), view(other)))

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node; the name of its output."""
        return self.graph.node(kind, inputs, **attributes)

    def number(self, value: float) -> str:
        """A number in the dtype of the model, as an initialiser."""
        with np.errstate(over="ignore"):
            return self.graph.constant(np.array(value).astype(self.dtype))

    def cast(self, value: str, dtype: Any = None) -> str:
        """A value in another dtype, default the model's."""
        from onnx import helper

        return str(
            self.node("Cast", [value], to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype)))
        )

    @property
    def activates(self) -> bool:
        """Whether the op may have an activation fused."""
        return "activation" in self.fields

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the first output."""
        dtype: np.dtype[Any] = next(
            v.dtype for v in self.fields.values() if isinstance(v, np.ndarray) and v.dtype.kind == "f"
        )
        return dtype
