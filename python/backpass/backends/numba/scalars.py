"""The formulas as functions of scalars for Numba's loops, and the functions that they call where Numba's own are slow."""

import math
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from ...ops import formulas

STRICT: Any = {"error_model": "numpy", "fastmath": False}  # exp64 relies on the order of its sums


@register_jitable(**STRICT)
def _exp64(z: Any) -> Any:
    """e^z in float64 to about 1e-10, for results in float32: plain arithmetic, so that a loop of it is vectorised."""
    x: Any = np.float64(z)
    x = -150.0 if x < -150.0 else x
    x = 150.0 if x > 150.0 else x
    t = np.float64(
        x * (1 / math.log(2)) + 1.5 * 2.0**52
    )  # the low bits of t are the nearest integer n to x / log 2
    r = x - (t - 1.5 * 2.0**52) * math.log(2)
    p = r / 40320
    for k in (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1.0):
        p = r * (p + k)
    return (1 + p) * np.int64((t.view(np.int64) + 1023) << 52).view(np.float64)  # e^r 2^n


# In float32 all of these go through float64: nearly exact, and up to fifteen times as fast as libm's.


@register_jitable(**STRICT)
def _exp(z: Any) -> Any:
    return np.float32(_exp64(z))


@register_jitable(**STRICT)
def _expm1(z: Any) -> Any:
    return z if abs(z) < 1e-8 else np.float32(_exp64(z) - 1)


@register_jitable(**STRICT)
def _log1p(z: Any) -> Any:
    return z if abs(z) < 1e-8 else np.float32(np.log(1 + np.float64(z)))


@register_jitable(**STRICT)
def _tanh(z: Any) -> Any:
    return z if abs(z) < 1e-4 else np.float32(1 - 2 / (_exp64(2 * np.float64(z)) + 1))


@register_jitable(**STRICT)
def _where(condition: Any, x: Any, y: Any) -> Any:
    return x if condition else y


def exp(z: Any) -> Any:
    """e^z, fast in float32."""
    return np.exp(z)


@overload(exp, jit_options=STRICT)
def _choose_exp(z: Any) -> Any:
    return _exp if z == types.float32 else exp


def _compilable(**functions: Any) -> dict[str, Any]:
    """The formulas from their own code, where some names mean something else than for arrays: Numba's np.where would make an
    array of scalars, and it knows math.erf."""
    numpy = ModuleType("numpy_of_scalars")
    vars(numpy).update(vars(np), where=_where, **functions)
    names = vars(formulas) | {"np": numpy, "erf": math.erf}
    for name, formula in vars(formulas).items():
        if isinstance(formula, FunctionType) and formula.__module__ == formulas.__name__:
            names[name] = register_jitable(**STRICT)(FunctionType(formula.__code__, names, name))
    return names


IN_FLOAT32 = _compilable(exp=_exp, expm1=_expm1, log1p=_log1p, tanh=_tanh)
IN_FLOAT64 = _compilable()


def _register(name: str, formula: FunctionType) -> None:
    @overload(formula, jit_options=STRICT, strict=False)
    def choose(*args: Any) -> Any:
        return (IN_FLOAT32 if args[0] == types.float32 else IN_FLOAT64)[name]


for _name, _formula in list(vars(formulas).items()):
    if isinstance(_formula, FunctionType) and _formula.__module__ == formulas.__name__:
        _register(_name, _formula)
