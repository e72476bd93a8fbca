"""Sums and maxima over the last dimension."""

import numpy as np

from .call import Call


def reduce_sum(call: Call) -> None:
    """ReduceSum, times the scale."""
    axes = call.graph.constant(np.array([-1]))
    y = call.node("ReduceSum", [call.read("x"), axes], keepdims=0)
    call.write("y", y if call["scale"] == 1 else call.node("Mul", [y, call.number(call["scale"])]))


def maximum(call: Call) -> None:
    """ReduceMax, and ArgMax for where it is."""
    x = call.read("x")
    call.write("y", call.node("ReduceMax", [x], axes=[-1], keepdims=0))
    call.write("largest", call.node("ArgMax", [x], axis=-1, keepdims=0))
