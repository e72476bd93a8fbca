"""Expressions: a few element-wise steps in one pass over memory, and the functions that a step may be."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .contract import op
from .formulas import erf, sigmoid

# The names of the arrays, in the order in which `expression` takes them.
INPUTS = ("a", "b", "c", "d", "e", "f", "g", "h")
OUTPUTS = ("y", "z", "u", "v")
# The most that one expression has of each.
MOST_STEPS, MOST_REGISTERS, MOST_CONSTANTS = 32, 16, 16


class Function(NamedTuple):
    """What a step computes from one to three operands. A comparison gives 1 or 0, a condition holds where it is not 0."""

    operands: int
    value: Callable[..., Any]


FUNCTIONS = {
    "copy": Function(1, np.copy),
    "neg": Function(1, np.negative),
    "abs": Function(1, np.abs),
    "sign": Function(1, np.sign),
    "sqrt": Function(1, np.sqrt),
    "exp": Function(1, np.exp),
    "expm1": Function(1, np.expm1),
    "log": Function(1, np.log),
    "log1p": Function(1, np.log1p),
    "sin": Function(1, np.sin),
    "cos": Function(1, np.cos),
    "erf": Function(1, erf),
    "relu": Function(1, lambda a: np.maximum(a, 0)),
    "sigmoid": Function(1, sigmoid),
    "tanh": Function(1, np.tanh),
    "add": Function(2, np.add),
    "sub": Function(2, np.subtract),
    "mul": Function(2, np.multiply),
    "div": Function(2, np.divide),
    "pow": Function(2, np.power),
    "minimum": Function(2, np.minimum),
    "maximum": Function(2, np.maximum),
    "lt": Function(2, np.less),
    "le": Function(2, np.less_equal),
    "gt": Function(2, np.greater),
    "ge": Function(2, np.greater_equal),
    "eq": Function(2, np.equal),
    "ne": Function(2, np.not_equal),
    "where": Function(3, lambda a, b, c: np.where(a != 0, b, c)),
}


class Step(NamedTuple):
    """`to = function operands`: names of arrays, registers t0 to t15, or numbers; while steps are joined, marks of values."""

    to: Any
    function: str
    operands: tuple[Any, ...]

    def __str__(self) -> str:
        return " ".join([self.to, "=", self.function, *(str(operand) for operand in self.operands)])


REGISTERS = tuple(f"t{number}" for number in range(MOST_REGISTERS))


@lru_cache(maxsize=4096)
def parsed(steps: str) -> tuple[Step, ...]:
    """The steps of a text such as "t0 = mul a b; y = add t0 1.5"; ValueError says what cannot be read."""
    found: list[Step] = []
    known = {*INPUTS}
    # By their texts: 0.0 and -0.0 are two.
    constants: set[str] = set()
    for text in steps.split(";"):
        to, _, rest = text.partition("=")
        name, *words = rest.split() or [""]
        function = FUNCTIONS.get(name)
        if function is None or len(words) != function.operands:
            raise ValueError(
                f"expression: steps has {text.strip()!r}, expected one of {[*FUNCTIONS]} and its operands"
            )
        operands: list[Any] = []
        for word in words:
            if word in known:
                operands.append(word)
                continue
            try:
                number = float(word)
            except ValueError:
                raise ValueError(
                    f"expression: steps has {word!r} in {text.strip()!r}, which is neither known there nor a number"
                ) from None
            constants.add(repr(number))
            operands.append(number)
        to = to.strip()
        if to not in OUTPUTS and to not in REGISTERS:
            raise ValueError(
                f"expression: steps has {text.strip()!r}, expected one of {OUTPUTS} or {REGISTERS} first"
            )
        known.add(to)
        found.append(Step(to, name, tuple(operands)))
    if len(found) > MOST_STEPS or len(constants) > MOST_CONSTANTS:
        raise ValueError(
            f"expression: steps has {len(found)} steps and {len(constants)} numbers, expected at most {MOST_STEPS} and"
            f" {MOST_CONSTANTS}"
        )
    return tuple(found)


def _samples() -> list[str]:
    """Every function on inputs alone, then steps that build on others, with numbers, and with several outputs."""
    arguments = {1: "a", 2: "a b", 3: "a b c"}
    alone = [f"y = {name} {arguments[f.operands]}" for name, f in FUNCTIONS.items()]
    return [
        *alone,
        "t0 = mul a b; t1 = sub 1.0 a; t0 = mul t1 c; y = add t0 d",
        "t0 = mul a b; y = sub t0 c; z = sub 1.5 a; u = mul e f; v = add g h",
        "z = add a b; y = mul z z; t15 = maximum y 0.25; u = add t15 -2.0",
    ]


@op(
    "a[*]? b[*]? c[*]? d[*]? e[*]? f[*]? g[*]? h[*]? -> y[*] z[*]? u[*]? v[*]?",
    samples={"steps": _samples()},
    strided=(*INPUTS, *OUTPUTS),
)
def expression(a, b, c, d, e, f, g, h, y, z, u, v, steps: str = "y = copy a"):
    """y, z, u, v = what `steps` computes element by element from a to h, of which an absent one reads as 0."""
    zero = np.zeros((), y.dtype)
    values = dict(zip(INPUTS, (a, b, c, d, e, f, g, h), strict=True))
    values = {name: zero if array is None else array for name, array in values.items()}
    outputs = {"y": y, "z": z, "u": u, "v": v}
    for step in parsed(steps):
        operands = [values[o] if isinstance(o, str) else y.dtype.type(o) for o in step.operands]
        values[step.to] = np.asarray(FUNCTIONS[step.function].value(*operands), y.dtype)
    for name, array in outputs.items():
        if array is not None and name in values:
            array[...] = values[name]
