"""Normalisation, and softmax."""

import numpy as np

from .call import Call


def softmax(call: Call) -> None:
    """Softmax or LogSoftmax over the last dimension."""
    call.write("y", call.node("LogSoftmax" if call["log"] else "Softmax", [call.read("x")], axis=-1))


def layer_norm(call: Call) -> None:
    """LayerNormalization over the last dimension."""
    bias = [call.read("bias")] if call.has("bias") else []
    y = call.node("LayerNormalization", [call.read("x"), _weight(call), *bias], axis=-1, epsilon=call["eps"])
    call.write("y", y)


def rms_norm(call: Call) -> None:
    """x / √(mean(x²) + eps) weight."""
    x = call.read("x")
    y = _scaled(call, x, call.node("ReduceMean", [call.node("Mul", [x, x])], axes=[-1]))
    call.write("y", call.node("Mul", [y, call.read("weight")]) if call.has("weight") else y)


def group_norm(call: Call) -> None:
    """(x - mean) / √(var + eps) weight + bias over the places and channels of a group of [B,L,G,P]."""
    x = call.read("x")
    centred = call.node("Sub", [x, call.node("ReduceMean", [x], axes=[1, 3])])
    y = _scaled(call, centred, call.node("ReduceMean", [call.node("Mul", [centred, centred])], axes=[1, 3]))
    for kind, name in (("Mul", "weight"), ("Add", "bias")):
        if call.has(name):
            y = call.node(kind, [y, call.read(name)])
    call.write("y", y)


def batch_norm(call: Call) -> None:
    """BatchNormalization of (B, C, L), by the running statistics."""
    channels = call["x"].shape[1]

    def planes(array: np.ndarray) -> np.ndarray:
        if array.shape[2] != 1:
            return array
        # Of images with their channels last the rows are pixels: then all those of an image are a plane again.
        pixels = call["x"].shape[0] // call.graph.rows[0]
        return (
            array[:, :, 0].reshape(-1, pixels, channels).transpose(0, 2, 1) if pixels > 1 else array[:, :, 0]
        )

    bias = call.read("bias") if call.has("bias") else call.graph.constant(np.zeros(channels, call.dtype))
    statistics = [call.read("running_mean"), call.read("running_var")]
    x = call.read("x", planes)
    y = call.node("BatchNormalization", [x, _weight(call), bias, *statistics], epsilon=call["eps"])
    call.write("y", y, planes)


def _weight(call: Call) -> str:
    if call.has("weight"):
        return call.read("weight")
    axis = 1 if "running_var" in call.fields else -1
    return call.graph.constant(np.ones(call["x"].shape[axis], call.dtype))


def _scaled(call: Call, x: str, square: str) -> str:
    """x / √(square + eps)."""
    return str(
        call.node("Div", [x, call.node("Sqrt", [call.node("Add", [square, call.number(call["eps"])])])])
    )
