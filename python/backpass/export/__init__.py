"""Models for other programs: ONNX files, `pip install "backpass[onnx]"`, and C99 without any dependency."""

from typing import Any

from ..errors import missing
from .c_file import c
from .onnx_file import onnx

__all__ = ["c", "onnx"]


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, __all__, {"onnx_program": "bp.export.onnx", "export": "bp.export.onnx"})


def __dir__() -> list[str]:
    return [*__all__]
