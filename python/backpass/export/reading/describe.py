"""The description of a network by what a file says, checked before anything is computed."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..graph.nodes import LEARNED
from .description import Description, Input, Node, needed
from .readers import OPERATORS

# Operator sets whose meaning the readers know: before 13 some operators took attributes for inputs.
OLDEST = 13
FLOATS = ("float32", "float64")


def described(proto: Any, outputs: Sequence[str] | None) -> Description:
    from onnx import numpy_helper

    versions = {entry.domain: entry.version for entry in proto.opset_import}
    version = versions.get("", versions.get("ai.onnx", 0))
    if version < OLDEST:
        raise ValueError(
            f"it is of opset {version}, expected {OLDEST} or newer: onnx.version_converter makes one"
        )
    graph = proto.graph
    arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    inputs = tuple(_input(value) for value in graph.input if value.name not in arrays)
    given = [value.name for value in graph.output]
    wanted = _wanted(outputs, given)
    nodes = needed([_node(node) for node in graph.node], wanted)
    known = {"", *arrays, *(one.name for one in inputs)}
    for node in nodes:
        if node.op not in OPERATORS:
            also = f"; outputs= leaves outputs out, of {given}" if len(given) > 1 else ""
            raise ValueError(f"{node} has an operator that backpass does not have{also}")
        for name in node.inputs:
            if name not in known:
                raise ValueError(f"{node} reads {name!r:.80}, which nothing gives before it")
        known |= {*node.outputs}
    for name in wanted:
        if name not in known:
            raise ValueError(f"nothing gives the output {name!r:.80}")
    read_names = {name for node in nodes for name in node.inputs} | {*wanted}
    inputs = tuple(one for one in inputs if one.name in read_names)
    if not inputs:
        raise ValueError("no output depends on an input")
    arrays = {name: array for name, array in arrays.items() if name in read_names}
    return Description(inputs, wanted, tuple(nodes), arrays, _learned(proto), _dtype(graph, arrays))


def _input(value: Any) -> Input:
    from onnx import helper

    kind = value.type.tensor_type
    if not kind.elem_type:
        raise ValueError(f"the input {value.name!r:.80} is no tensor")
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    if dtype.kind not in "fiub" or (dtype.kind == "f" and dtype.name not in FLOATS):
        raise ValueError(
            f"the input {value.name!r:.80} is of {dtype.name}, expected float32, float64 or integers"
        )
    if not kind.HasField("shape") or not kind.shape.dim:
        raise ValueError(f"the input {value.name!r:.80} has no dimension, expected the rows of a batch first")
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    return Input(value.name, dtype.kind != "f", (None, *(size if size else None for size in sizes[1:])))


def _wanted(outputs: Sequence[str] | None, given: list[str]) -> tuple[str, ...]:
    if outputs is None:
        return tuple(given)
    several = isinstance(outputs, Iterable) and not isinstance(outputs, str)
    names: list[Any] = [*outputs] if several else [outputs]
    if not names or not all(isinstance(name, str) and name in given for name in names):
        raise ValueError(f"outputs is {outputs!r:.80}, expected some of {given}")
    return tuple(names)


def _node(node: Any) -> Node:
    from onnx import AttributeProto, helper, numpy_helper

    attributes: dict[str, Any] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.type == AttributeProto.TENSOR:
            value = numpy_helper.to_array(value)
        elif attribute.type == AttributeProto.STRING:
            value = value.decode("utf-8", "replace")
        elif attribute.type == AttributeProto.STRINGS:
            value = [text.decode("utf-8", "replace") for text in value]
        elif attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS):
            value = [*value]
        attributes[attribute.name] = value
    op = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    return Node(node.name, op, tuple(node.input), tuple(node.output), attributes)


def _learned(proto: Any) -> frozenset[str] | None:
    text = next((entry.value for entry in proto.metadata_props if entry.key == LEARNED), None)
    if text is None:
        return None
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"its {LEARNED} are {text:.80}, expected a list of names")
    return frozenset(names)


def _dtype(graph: Any, arrays: dict[str, np.ndarray]) -> str:
    """The dtype of all numbers, of which some may be constants of another."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and array.dtype.name not in FLOATS:
            raise ValueError(f"initializer {name!r:.80} is of {array.dtype}, expected float32 or float64")
        if array.dtype.kind not in "fiub":
            raise ValueError(f"initializer {name!r:.80} is of {array.dtype}, expected numbers")
    from onnx import TensorProto

    doubles = [value.type.tensor_type.elem_type == TensorProto.DOUBLE for value in graph.input]
    floats = [array.dtype == np.float64 for array in arrays.values() if array.dtype.kind == "f"]
    return "float64" if any(doubles) or (floats and all(floats)) else "float32"
