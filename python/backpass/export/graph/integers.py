"""Arithmetic of integers that become indices, which ONNX rounds and divides in other ways."""

from collections.abc import Callable

import numpy as np

from .call import Call
from .elementwise import COMPARISONS
from .views import lone_shape

KINDS = {"add": "Add", "sub": "Sub", "mul": "Mul"}


def index_function(call: Call) -> None:
    """A sum, product, rounded quotient, rest or comparison."""
    _computed(call, ["a", "b"], lambda a, b: _value(call, call["function"], a, b))


def index_where(call: Call) -> None:
    """Where, by a condition of numbers."""
    _computed(
        call, ["condition", "a", "b"], lambda c, a, b: call.node("Where", [call.cast(c, np.bool_), a, b])
    )


def to_index(call: Call) -> None:
    """Cast of numbers without their fraction; -1 for those that 64 bits do not hold."""
    _computed(call, ["x"], lambda x: _whole(call, x))


def _computed(call: Call, names: list[str], compute: Callable[..., str]) -> None:
    """y = compute(values of arrays); what arrays repeat is left to broadcasting."""
    y = compute(*(call.read(name, expand=False) for name in names))
    shape = np.broadcast_shapes(*(lone_shape(call[name]) for name in names))
    call.write("y", call.graph.expand(y, shape, call.pair("y")))


def _value(call: Call, function: str, a: str, b: str) -> str:
    if function in KINDS:
        return call.node(KINDS[function], [a, b])
    if function in COMPARISONS:
        holds = call.node(COMPARISONS[function], [a, b])
        return call.cast(call.node("Not", [holds]) if function == "ne" else holds, np.int64)
    known, zero = call.graph.initialisers.get(b), call.graph.constant(np.array(0))
    none = None
    if known is None or not known.all():
        # A runtime would trap; here a quotient and a rest of 0 are 0.
        none = call.node("Equal", [b, zero])
        b = call.node("Where", [none, call.graph.constant(np.array(1)), b])
    y = call.node("Mod", [a, b])
    if function == "floordiv":
        # Div rounds to 0: without the rest there is nothing to round.
        y = call.node("Div", [call.node("Sub", [a, y]), b])
    return y if none is None else call.node("Where", [none, zero, y])


def _whole(call: Call, x: str) -> str:
    held = call.node("Less", [call.node("Abs", [x]), call.number(2.0**63)])
    return call.cast(call.node("Where", [held, x, call.number(-1)]), np.int64)
