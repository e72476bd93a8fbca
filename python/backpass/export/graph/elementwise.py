"""Expressions, sums and conversions: each step a node; what a view repeats is left to broadcasting."""

from collections.abc import Callable

import numpy as np

from ...ops.expression import INPUTS, OUTPUTS, parsed
from .call import Call
from .views import lone_shape

KINDS = {
    "neg": "Neg", "abs": "Abs", "sign": "Sign", "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos",
    "erf": "Erf", "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div",
    "pow": "Pow", "minimum": "Min", "maximum": "Max",
}  # fmt: skip
COMPARISONS = {
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "eq": "Equal",
    "ne": "Equal",
}


def expression(call: Call) -> None:
    """A few element-wise steps."""
    given = [name for name in INPUTS if call.has(name)]
    if call["steps"] == "y = copy a" and given and call.copied("a"):
        return
    alone = not any(call.has(name) for name in OUTPUTS[1:])
    if (
        given
        and alone
        and call.each(given, lambda *values: _steps(call, dict(zip(given, values, strict=True)))["y"])
    ):
        return
    shapes = {name: lone_shape(call[name]) for name in given}
    values = _steps(call, {name: call.read(name, expand=False) for name in given})
    for step in parsed(call["steps"]):
        shapes[step.to] = np.broadcast_shapes(*(shapes.get(o, ()) for o in step.operands))
    for name in OUTPUTS:
        if call.has(name) and name in values:
            lead = (1,) * (call[name].ndim - len(shapes[name]))
            call.write(name, call.graph.expand(values[name], lead + shapes[name], call.pair(name)))


def _steps(call: Call, values: dict[str, str]) -> dict[str, str]:
    """The values of the arrays that an expression reads and writes; an absent one is 0."""
    known = {name: call.number(0) for name in INPUTS} | values
    for step in parsed(call["steps"]):
        operands = [known[o] if isinstance(o, str) else call.number(o) for o in step.operands]
        known[step.to] = _value(call, step.function, operands)
    return known


def _value(call: Call, function: str, operands: list[str]) -> str:
    if function == "copy":
        return operands[0]
    if function in KINDS:
        return call.node(KINDS[function], operands)
    if function in COMPARISONS:
        holds = call.node(COMPARISONS[function], operands)
        return call.cast(call.node("Not", [holds]) if function == "ne" else holds)
    return OTHERS[function](call, *operands)


def _expm1(call: Call, a: str) -> str:
    return call.node("Sub", [call.node("Exp", [a]), call.number(1)])


def _log1p(call: Call, a: str) -> str:
    return call.node("Log", [call.node("Add", [a, call.number(1)])])


def _where(call: Call, a: str, b: str, c: str) -> str:
    return call.node("Where", [call.cast(a, np.bool_), b, c])


OTHERS: dict[str, Callable[..., str]] = {"expm1": _expm1, "log1p": _log1p, "where": _where}


def add(call: Call) -> None:
    """The sum of two tensors."""
    if not call.each(["a", "b"], lambda a, b: call.node("Add", [a, b])):
        call.write("y", call.node("Add", [call.read("a"), call.read("b")]))


def to_number(call: Call) -> None:
    """Integers in the dtype of the model."""
    call.write("y", call.cast(call.read("x")))
