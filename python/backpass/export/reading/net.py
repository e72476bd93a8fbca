"""OnnxNet: a network read from an ONNX file, as a module that trains."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...nn.module import Kind, Module
from ...nn.tracing import buffer, shown
from ...program.symbolic import SymbolicTensor
from .call import Call
from .description import Description
from .readers import computed
from .recurrent import RECURRENT
from .turned import plain
from .weights import arranged


class Holder(Module):
    """A place in the tree of names: parameters, statistics, and places within."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, Holder] = {}

    def named_children(self) -> Iterator[tuple[str, Any]]:
        return iter(self.places.items())

    def at(self, names: Sequence[str]) -> "Holder":
        """The place of these names, made where it is not there."""
        place = self
        for name in names:
            place = place.places.setdefault(name, Holder())
        return place


class OnnxNet(Holder):
    """The network of an ONNX file: `bp.load_onnx(path).net`."""

    def __init__(self, description: Description) -> None:
        super().__init__()
        self.description, found = description, arranged(description)
        self.nodes, self.constants = found.nodes, found.constants
        of_recurrent = (node.inputs[4:] for node in found.nodes if node.op in RECURRENT)
        self.recurrent = {name for names in of_recurrent for name in names if name}
        # Of each parameter and statistic the place that holds it, and its name there.
        self.held: dict[str, tuple[Holder, str]] = {}
        arrays: dict[str, Any] = {**found.learned, **found.statistics}
        for name, array in arrays.items():
            place, key = self._place(name, arrays)
            self.held[name] = place, key
            if isinstance(array, np.ndarray):
                place.starts[key] = array.shape, array
            else:
                place.learned[key] = array.parameter()

    def _place(self, name: str, arrays: Mapping[str, Any]) -> tuple[Holder, str]:
        """Where an array is held: dots part the places, as in PyTorch's names."""
        *places, key = name.split(".")
        above = {".".join(places[:k]) for k in range(1, len(places) + 1)}
        if "" in (*places, key) or above & {*arrays}:
            return self, name
        return self.at(places), key

    def __repr__(self) -> str:
        return f"OnnxNet of {len(self.nodes)} nodes"

    @property
    def takes(self) -> Mapping[str, Kind]:
        return {one.name: "index" if one.integers else "number" for one in self.description.inputs}

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        first = self.description.inputs[0]
        sizes = tuple(size for size in first.sizes[1:] if size is not None)
        return None if first.integers or len(sizes) < len(first.sizes) - 1 else sizes

    def forward(self, *inputs: Any) -> Any:
        """The outputs of all nodes, one after the other."""
        builder = inputs[0].builder
        values: dict[str, Any] = {"": None, **self.constants}
        values |= {one.name: x for one, x in zip(self.description.inputs, inputs, strict=True)}
        for name, (place, key) in self.held.items():
            values[name] = (shown if key in place.learned else buffer)(place, key)
        for name in self.recurrent:  # as an op has them
            place, key = self.held[name]
            tensor = place.tensor(key)
            assert tensor is not None
            values[name] = SymbolicTensor(builder, tensor)
        for node in self.nodes:
            call = Call(node, builder, [self._value(name, values, f"{node} reads") for name in node.inputs])
            found = computed(call)
            parts = found if isinstance(found, tuple) else (found,)
            values |= {name: part for name, part in zip(node.outputs, parts, strict=False) if name}
        outputs = {name: self._output(name, values) for name in self.description.outputs}
        names = [*outputs]
        if len(names) == 1:
            return outputs[names[0]]
        # So our own files name those of a tuple.
        return tuple(outputs.values()) if names == [f"output_{k}" for k in range(len(names))] else outputs

    def _value(self, name: str, values: Mapping[str, Any], reader: str) -> Any:
        if name not in values:
            giver = next(node for node in self.nodes if name in node.outputs)
            raise ValueError(f"{reader} {name!r:.80} of {giver}, an output that backpass does not have")
        return values[name]

    def _output(self, name: str, values: Mapping[str, Any]) -> Any:
        value = plain(self._value(name, values, "the network gives"))
        if not isinstance(value, SymbolicTensor):
            raise ValueError(f"the output {name!r} does not depend on the input")
        return value
