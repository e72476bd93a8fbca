"""The description of a network in an ONNX file, checked before anything is computed; nothing outside the file is read."""

import json
import os
import stat
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ...checks import as_path
from ...errors import CheckpointError, MissingError
from ..graph.nodes import LEARNED
from .description import Description, Input, Node, needed
from .readers import OPERATORS, WRONG

# Operator sets whose meaning the readers know: before 13 some operators took attributes for inputs.
OLDEST = 13
# Bytes of a file: protobuf holds no more.
MOST_BYTES = 2**31 - 1
FLOATS = ("float32", "float64")


def read(path: str | os.PathLike[str], outputs: Sequence[str] | None = None) -> tuple[str, Description]:
    """The path, and what the file says; outputs: those that are wanted, default all. CheckpointError says what is wrong."""
    place = as_path("path", path)
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f'bp.load_onnx needs onnx ({error}): pip install "backpass[onnx]"') from None
    proto, data = onnx.ModelProto(), _bytes(Path(place))
    try:
        proto.ParseFromString(data)
    except Exception as error:
        raise CheckpointError(f"{place} is damaged or no ONNX file: {error}") from None
    try:
        _check_tensors(proto)
        description = _described(proto, outputs)
        # What else the standard forbids: last, since its messages name few nodes.
        onnx.checker.check_model(data)
        return place, description
    except (onnx.checker.ValidationError, *WRONG) as error:
        first = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{place} cannot be read: {first}") from None


def _bytes(path: Path) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path} is no regular file, expected an ONNX file")
        if status.st_size > MOST_BYTES:
            raise CheckpointError(f"{path} has {status.st_size:,} bytes, expected at most {MOST_BYTES:,}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(f"{path} does not exist") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error


def _tensors(graph: Any) -> Iterator[tuple[str, Any]]:
    """All arrays of a graph and of those within it, each with what holds it."""
    for tensor in graph.initializer:
        yield f"initializer {tensor.name!r:.80}", tensor
    for node in graph.node:
        for attribute in node.attribute:
            holder = f"node {node.name or list(node.output)!r:.80} ({node.op_type})"
            yield from ((holder, tensor) for tensor in (attribute.t, *attribute.tensors))
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _check_tensors(proto: Any) -> None:
    """ValueError for an array that lies outside the file, or whose sizes promise more than the file has."""
    from onnx import TensorProto, helper

    if proto.graph.sparse_initializer:
        raise ValueError("it holds a sparse initializer, expected dense ones")
    for holder, tensor in _tensors(proto.graph):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ValueError(f"{holder} has its numbers in another file, expected all in this one: onnx.save")
        if tensor.data_type in (TensorProto.UNDEFINED, TensorProto.STRING):
            continue
        sizes = [*tensor.dims]
        if min(sizes, default=0) < 0:
            raise ValueError(f"{holder} has the sizes {sizes}, expected none below 0")
        field = getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type))
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        found = len(tensor.raw_data) // max(dtype.itemsize, 1) if tensor.raw_data else len(field)
        if found != prod(sizes):
            raise ValueError(f"{holder} has the sizes {sizes}, but {found} numbers")


def _described(proto: Any, outputs: Sequence[str] | None) -> Description:
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
    names = [outputs] if isinstance(outputs, str) else [*outputs]
    if not names or {*names} - {*given}:
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
    names = json.loads(text)
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
