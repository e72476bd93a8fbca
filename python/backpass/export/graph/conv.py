"""Convolutions: their memory has the channels last, of which a view is what ONNX takes."""

from typing import Any

import numpy as np

from .activation import activated
from .call import Call


def channels_first(array: np.ndarray) -> np.ndarray:
    """(B, H, W, C) as (B, C, H, W)."""
    return array.transpose(0, 3, 1, 2)


def sequence(array: np.ndarray) -> np.ndarray:
    """(B, 1, L, C) as (B, C, L)."""
    turned: np.ndarray = array[:, 0].transpose(0, 2, 1)
    return turned


def kernel(array: np.ndarray) -> np.ndarray:
    """(KH, KW, D, O) as (O, D, KH, KW)."""
    return array.transpose(3, 2, 0, 1)


def kernel_of_sequence(array: np.ndarray) -> np.ndarray:
    """(1, KW, D, O) as (O, D, KW)."""
    turned: np.ndarray = array[0].transpose(2, 1, 0)
    return turned


def conv(call: Call) -> None:
    """Conv, of a sequence with one dimension."""
    _emit(call, "Conv")


def conv_transpose(call: Call) -> None:
    """ConvTranspose, of a sequence with one dimension."""
    _emit(call, "ConvTranspose")


def _emit(call: Call, kind: str) -> None:
    x, weight, y = call["x"], call["weight"], call["y"]
    flat = x.shape[1] == weight.shape[0] == y.shape[1] == 1 and call["top"] == call["bottom"] == 0
    dims = "w" if flat else "hw"
    attributes: dict[str, Any] = {
        "kernel_shape": weight.shape[1:2] if flat else weight.shape[:2],
        "strides": [call[f"stride_{d}"] for d in dims],
        "dilations": [call[f"dilation_{d}"] for d in dims],
        "pads": [call[name] for name in (("left", "right") if flat else ("top", "left", "bottom", "right"))],
        "group": call["groups"],
    }
    if kind == "ConvTranspose":
        attributes["output_padding"] = [call[f"extra_{d}"] for d in dims]
    view = sequence if flat else channels_first
    inputs = [call.read("x", view), call.read("weight", kernel_of_sequence if flat else kernel)]
    inputs += [call.read("bias")] if call.has("bias") else []
    value = call.node(kind, inputs, **attributes)
    call.write("y", activated(call, value) if call.activates else value, view)
