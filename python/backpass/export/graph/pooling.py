"""Pooling and other sizes of images (B, H, W, C), as (B, C, H, W)."""

from typing import Any

import numpy as np

from ...ops.avg_pool import divisor
from ...ops.resize import places
from ...ops.window import Span, adaptive, sliding
from .call import Call
from .conv import channels_first


def max_pool(call: Call) -> None:
    """MaxPool; ceil_mode becomes padding."""
    y = call.node(
        "MaxPool", [call.read("x", channels_first)], **_window(call), dilations=_each(call, "dilation")
    )
    call.write("y", y, channels_first)


def avg_pool(call: Call) -> None:
    """AveragePool of the padded image, times what a window has more than its divisor."""
    y = call.node("AveragePool", [call.read("x", channels_first)], **_window(call), count_include_pad=1)
    down, across = (_spans(call, axis) for axis in "hw")
    counted = call["count_include_pad"], call["divisor_override"]
    whole = call["kernel_h"] * call["kernel_w"]
    share = np.array(
        [[whole / divisor(rows, cols, *counted) for cols in across] for rows in down], call.dtype
    )
    if (share != 1).any():
        share = share.reshape(-1)[:1] if (share == share[0, 0]).all() else share
        y = call.node("Mul", [y, call.graph.constant(share)])
    call.write("y", y, channels_first)


def adaptive_avg_pool(call: Call) -> None:
    """The mean of each window: of its rows, then of its columns."""
    if call["y"].shape[1:3] == (1, 1):
        call.write("y", call.node("GlobalAveragePool", [call.read("x", channels_first)]), channels_first)
    else:
        _adaptive(call, "ReduceMean")


def adaptive_max_pool(call: Call) -> None:
    """The maximum of each window: of its rows, then of its columns."""
    _adaptive(call, "ReduceMax")


def _adaptive(call: Call, kind: str) -> None:
    y = call.read("x", channels_first)
    for axis in (1, 2):
        size, count = call["x"].shape[axis], call["y"].shape[axis]
        pieces = [
            call.node(
                kind, [call.graph.slice(y, axis + 1, span.origin, span.origin + span.length)], axes=[axis + 1]
            )
            for span in adaptive(size, count)
        ]
        y = pieces[0] if count == 1 else call.node("Concat", pieces, axis=axis + 1)
    call.write("y", y, channels_first)


def resize(call: Call) -> None:
    """Along each dimension the pixel at a place, or a mixture of two: Gather with constant places."""
    y = call.read("x", channels_first)
    for axis, letter in ((1, "h"), (2, "w")):
        size, out = call["x"].shape[axis], call["y"].shape[axis]
        low, high, share = places(size, out, call["linear"], call["align_corners"], call[f"scale_{letter}"])
        near = call.node("Gather", [y, call.graph.constant(low)], axis=axis + 1)
        if call["linear"] and share.any():
            far = call.node("Gather", [y, call.graph.constant(high)], axis=axis + 1)
            weight = share.astype(call.dtype).reshape((-1, 1) if axis == 1 else (-1,))
            parts = [(near, 1 - weight), (far, weight)]
            near = call.node("Add", [call.node("Mul", [part, call.graph.constant(w)]) for part, w in parts])
        y = near
    call.write("y", y, channels_first)


def _each(call: Call, name: str) -> list[int]:
    return [call[f"{name}_h"], call[f"{name}_w"]]


def _spans(call: Call, letter: str) -> list[Span]:
    axis = 1 if letter == "h" else 2
    numbers = (call[f"{name}_{letter}"] for name in ("kernel", "stride", "padding"))
    return sliding(call["x"].shape[axis], call["y"].shape[axis], *numbers)


def _window(call: Call) -> dict[str, Any]:
    """The window of a pooling layer, with padding behind for the last one."""
    behind = []
    for axis, letter in ((1, "h"), (2, "w")):
        dilation = call[f"dilation_{letter}"] if f"dilation_{letter}" in call.fields else 1
        extent = dilation * (call[f"kernel_{letter}"] - 1) + 1
        end = (call["y"].shape[axis] - 1) * call[f"stride_{letter}"] + extent
        behind.append(max(end - call["x"].shape[axis] - call[f"padding_{letter}"], 0))
    return {
        "kernel_shape": _each(call, "kernel"),
        "strides": _each(call, "stride"),
        "pads": [*_each(call, "padding"), *behind],
    }
