"""The derivatives of the functions of an expression, as expressions themselves."""

import math
from collections.abc import Callable
from typing import Any

# Called as f("mul", x, y): a step of tensors and numbers that the backward pass makes.
Step = Callable[..., Any]
# (f, dy, y, *operands) -> the gradient of one operand; None where nothing flows back.
Derivative = Callable[..., Any] | None


def _smaller(f: Step, dy: Any, y: Any, a: Any, b: Any) -> Any:
    """Of minimum with respect to a: all where a is less, half where both are equal (as in PyTorch)."""
    return f("where", f("lt", a, b), dy, f("where", f("eq", a, b), f("mul", dy, 0.5), 0.0))


def _power(f: Step, dy: Any, y: Any, a: Any, b: Any) -> Any:
    return f("mul", dy, f("mul", b, f("pow", a, f("sub", b, 1.0))))


def _exponent(f: Step, dy: Any, y: Any, a: Any, b: Any) -> Any:
    """dy aᵇ log a, and 0 where aᵇ is 0."""
    return f("mul", dy, f("where", f("eq", y, 0.0), 0.0, f("mul", y, f("log", a))))


# One for each operand.
DERIVATIVES: dict[str, tuple[Derivative, ...]] = {
    "copy": (lambda f, dy, y, a: dy,),
    "neg": (lambda f, dy, y, a: f("neg", dy),),
    "abs": (lambda f, dy, y, a: f("mul", dy, f("sign", a)),),
    "sign": (None,),
    "sqrt": (lambda f, dy, y, a: f("div", f("mul", dy, 0.5), y),),
    "exp": (lambda f, dy, y, a: f("mul", dy, y),),
    "expm1": (lambda f, dy, y, a: f("mul", dy, f("add", y, 1.0)),),
    "log": (lambda f, dy, y, a: f("div", dy, a),),
    "log1p": (lambda f, dy, y, a: f("div", dy, f("add", a, 1.0)),),
    "sin": (lambda f, dy, y, a: f("mul", dy, f("cos", a)),),
    "cos": (lambda f, dy, y, a: f("neg", f("mul", dy, f("sin", a))),),
    "erf": (
        lambda f, dy, y, a: f(
            "mul", dy, f("mul", f("exp", f("neg", f("mul", a, a))), 2 / math.sqrt(math.pi))
        ),
    ),
    "relu": (lambda f, dy, y, a: f("where", f("gt", y, 0.0), dy, 0.0),),
    "sigmoid": (lambda f, dy, y, a: f("mul", dy, f("mul", y, f("sub", 1.0, y))),),
    "tanh": (lambda f, dy, y, a: f("mul", dy, f("sub", 1.0, f("mul", y, y))),),
    "add": (lambda f, dy, y, a, b: dy, lambda f, dy, y, a, b: dy),
    "sub": (lambda f, dy, y, a, b: dy, lambda f, dy, y, a, b: f("neg", dy)),
    "mul": (lambda f, dy, y, a, b: f("mul", dy, b), lambda f, dy, y, a, b: f("mul", dy, a)),
    "div": (
        lambda f, dy, y, a, b: f("div", dy, b),
        lambda f, dy, y, a, b: f("neg", f("div", f("mul", dy, y), b)),
    ),
    "pow": (_power, _exponent),
    "minimum": (_smaller, lambda f, dy, y, a, b: _smaller(f, dy, y, b, a)),
    "maximum": (lambda f, dy, y, a, b: _smaller(f, dy, y, b, a), _smaller),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), (None, None)),
    "where": (
        None,
        lambda f, dy, y, a, b, c: f("where", a, dy, 0.0),
        lambda f, dy, y, a, b, c: f("where", a, 0.0, dy),
    ),
}
