"""Activations, fused or by themselves, of whatever the op before gives."""

import math
from collections.abc import Callable

from .call import Call

DIRECT = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}


def activation(call: Call) -> None:
    """An activation by itself."""
    if not call.each(["x"], lambda x: activated(call, x)):
        call.write("y", activated(call, call.read("x")))


def activated(call: Call, x: str) -> str:
    """What the activation of an op makes of a value."""
    name, alpha = call["activation"], call["alpha"]
    if name == "identity":
        return x
    if name in DIRECT:
        return call.node(DIRECT[name], [x])
    return OTHERS[name](call, x, alpha)


def _leaky_relu(call: Call, x: str, alpha: float) -> str:
    return call.node("LeakyRelu", [x], alpha=alpha)


def _elu(call: Call, x: str, alpha: float) -> str:
    return call.node("Elu", [x], alpha=alpha)


def _softplus(call: Call, x: str, alpha: float) -> str:
    if alpha == 1:
        return call.node("Softplus", [x])
    inner = call.node("Softplus", [call.node("Mul", [x, call.number(alpha)])])
    return call.node("Div", [inner, call.number(alpha)])


def _gelu(call: Call, x: str, alpha: float) -> str:
    inner = call.node("Erf", [call.node("Mul", [x, call.number(math.sqrt(0.5))])])
    return _half(call, x, inner)


def _gelu_tanh(call: Call, x: str, alpha: float) -> str:
    cube = call.node("Mul", [call.node("Mul", [x, x]), x])
    argument = call.node("Add", [x, call.node("Mul", [cube, call.number(0.044715)])])
    inner = call.node("Tanh", [call.node("Mul", [argument, call.number(math.sqrt(2 / math.pi))])])
    return _half(call, x, inner)


def _half(call: Call, x: str, inner: str) -> str:
    """½ x (1 + inner)."""
    product = call.node("Mul", [x, call.node("Add", [inner, call.number(1)])])
    return call.node("Mul", [product, call.number(0.5)])


def _silu(call: Call, x: str, alpha: float) -> str:
    return call.node("Mul", [x, call.node("Sigmoid", [x])])


OTHERS: dict[str, Callable[[Call, str, float], str]] = {
    "leaky_relu": _leaky_relu, "elu": _elu, "softplus": _softplus, "gelu": _gelu, "gelu_tanh": _gelu_tanh, "silu": _silu,
}  # fmt: skip
