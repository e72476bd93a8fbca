"""The description of a network in an ONNX file; CheckpointError says what is wrong with it."""

import os
from collections.abc import Sequence
from pathlib import Path

from ...checks import as_path
from ...errors import CheckpointError
from .describe import described
from .description import Description
from .file import bytes_of, check_tensors
from .readers import WRONG


def read(path: str | os.PathLike[str], outputs: Sequence[str] | None = None) -> tuple[str, Description]:
    """The path, and what the file says; outputs: those that are wanted, default all. CheckpointError says what is wrong."""
    place = as_path("path", path)
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f'bp.load_onnx needs onnx ({error}): pip install "backpass[onnx]"') from None
    proto, data = onnx.ModelProto(), bytes_of(Path(place))
    try:
        proto.ParseFromString(data)
    except Exception as error:
        raise CheckpointError(f"{place} is damaged or no ONNX file: {error}") from None
    try:
        check_tensors(proto)
        description = described(proto, outputs)
        # What else the standard forbids: last, since its messages name few nodes.
        onnx.checker.check_model(data)
        return place, description
    except (onnx.checker.ValidationError, *WRONG) as error:
        first = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{place} cannot be read: {first}") from None
