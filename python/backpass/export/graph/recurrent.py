"""Recurrent layers: one node for all steps of a layer and direction."""

from typing import Any

import numpy as np

from .call import Call

# Where the gates of ONNX lie among those of PyTorch: i o f c among i f g o, z r h among r z n.
LSTM_GATES, GRU_GATES = (0, 3, 1, 2), (1, 0, 2)


def rnn(call: Call) -> None:
    """RNN with tanh or relu."""
    name = {"tanh": "Tanh", "relu": "Relu"}[call["activation"]]
    _emit(call, "RNN", (0,), ["h"], activations=[name])


def lstm(call: Call) -> None:
    """LSTM."""
    _emit(call, "LSTM", LSTM_GATES, ["h", "c"])


def gru(call: Call) -> None:
    """GRU with the reset gate behind the product, as in PyTorch."""
    _emit(call, "GRU", GRU_GATES, ["h"], linear_before_reset=1)


def _emit(call: Call, kind: str, gates: tuple[int, ...], states: list[str], **attributes: Any) -> None:
    hidden = call["weight_hh"].shape[2]
    weights = [_weight(call, name, gates) for name in ("weight_ih", "weight_hh")]
    bias = ""
    if call.has("bias_ih"):
        both = [_weight(call, name, gates) for name in ("bias_ih", "bias_hh")]
        bias = call.node("Concat", both, axis=1)
    lengths = call.cast(call.read("lengths"), np.int32) if call.has("lengths") else ""
    firsts = [call.read(f"{s}0", lambda state: state[None]) if call.has(f"{s}0") else "" for s in states]
    x = call.read("x", lambda x: x.transpose(1, 0, 2))
    way = "reverse" if call["reverse"] else "forward"
    given = [x, *weights, bias, lengths, *firsts]
    y, *last = call.graph.node_of_several(
        kind, given, 1 + len(states), hidden_size=hidden, direction=way, **attributes
    )
    call.write("y", y, lambda y: y.transpose(1, 0, 2)[:, None])
    for state, value in zip(states, last, strict=True):
        call.write(f"{state}_n", value, lambda state: state[None])


def _weight(call: Call, name: str, gates: tuple[int, ...]) -> str:
    """[I,G,H] as (1, G H, I), or [G,H] as (1, G H), with the gates in the order of ONNX."""
    array = call[name]
    rows, hidden = array.shape[-2] * array.shape[-1], array.shape[-1]
    order = (1, 2, 0) if array.ndim == 3 else (0, 1)
    value = call.read(name, lambda weight: weight.transpose(order).reshape(rows, *weight.shape[:-2]))
    if len(gates) > 1:
        places = np.concatenate([np.arange(gate * hidden, (gate + 1) * hidden) for gate in gates])
        value = call.node("Gather", [value, call.graph.constant(places)], axis=0)
    return call.graph.reshape(value, (1, rows, *array.shape[:-2]))
