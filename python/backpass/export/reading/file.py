"""The bytes of an ONNX file, and the arrays in it: nothing outside the file is read."""

import os
import stat
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, MissingError

# Bytes of a file: protobuf holds no more.
MOST_BYTES = 2**31 - 1


def bytes_of(path: Path) -> bytes:
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


def check_tensors(proto: Any) -> None:
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
