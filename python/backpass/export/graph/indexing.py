"""Elements chosen by index, which has to be in range: onnxruntime refuses others."""

import numpy as np

from .call import Call


def embedding(call: Call) -> None:
    """Gather of rows."""
    call.write("y", call.node("Gather", [call.read("weight"), call.read("index")]))


def gather(call: Call) -> None:
    """GatherElements along the last dimension."""
    call.write("y", call.node("GatherElements", [call.read("x"), call.read("index")], axis=-1))


def embedding_bag(call: Call) -> None:
    """The sum, mean or maximum of gathered rows; the index padding_idx does not count."""
    rows, top = call.node("Gather", [call.read("weight"), call.read("index")]), call.has("top")
    axes = call.graph.constant(np.array([1]))
    counted = any_counts = ""
    if call["padding_idx"] >= 0:
        index = call.read("index", lambda index: index[:, :, None])
        padding = call.graph.constant(np.array(call["padding_idx"]))
        counted = call.node("Not", [call.node("Equal", [index, padding])])
        rows = call.node("Where", [counted, rows, call.number(-np.inf if top else 0)])
        count = call.node("ReduceSum", [call.cast(counted), axes], keepdims=0)
        any_counts = call.node("Greater", [count, call.number(0)])
    if top:
        y = call.node("ReduceMax", [rows], axes=[1], keepdims=0)
        y = call.node("Where", [any_counts, y, call.number(0)]) if counted else y
    else:
        y = call.node("ReduceSum", [rows, axes], keepdims=0)
        if call["mean"]:
            many = (
                call.node("Max", [count, call.number(1)]) if counted else call.number(call["index"].shape[1])
            )
            y = call.node("Div", [y, many])
    call.write("y", y)
