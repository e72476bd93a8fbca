"""How kernels are compiled: Numba's options in one place, and the formulas as functions of scalars."""

import inspect
import math
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

import numba
import numpy as np
from numba.extending import overload, register_jitable

from ... import formulas

F = TypeVar("F", bound=Callable[..., Any])
Bound = tuple[Callable[..., None], tuple[Any, ...]]  # a kernel and its arguments

# Numba's cache sees the file of a kernel and what it encloses: a kernel made of formulas encloses this as well.
STAMP = zlib.crc32(Path(formulas.__file__).read_bytes() + Path(__file__).read_bytes())


def jit(function: F) -> F:
    """Compile at first use, keep it in the cache, release the GIL; 1/0 is inf as in NumPy."""
    njit: Any = partial(numba.njit, error_model="numpy", nogil=True)
    try:
        compiled: F = njit(cache=True)(function)
    except RuntimeError:  # nowhere to write a cache
        compiled = njit()(function)
    return compiled


def direct(kernel: Any) -> Callable[..., Bound]:
    """The binder of a kernel that takes the op's fields as they are."""
    names = tuple(inspect.signature(kernel).parameters)
    return lambda **fields: (kernel, tuple(fields[name] for name in names))


def flat(array: np.ndarray) -> np.ndarray:
    """Any shape as a vector: the same data."""
    return array if array.ndim == 1 else array.reshape(-1)


def maybe(view: Callable[[np.ndarray], np.ndarray], array: np.ndarray | None) -> np.ndarray | None:
    """A view of an optional array."""
    return None if array is None else view(array)


@register_jitable
def _where(condition: Any, x: Any, y: Any) -> Any:
    return x if condition else y


# The very code of formulas.py, with two names looked up elsewhere: Numba's np.where makes an array of scalars, and it has an erf.
_numpy = ModuleType("numpy_of_scalars")
vars(_numpy).update(vars(np), where=_where)
_names = vars(formulas) | {"np": _numpy, "erf": math.erf}


def _register(formula: FunctionType) -> None:
    scalar = FunctionType(formula.__code__, _names, formula.__name__)
    overload(formula, jit_options={"error_model": "numpy"}, strict=False)(lambda *args: scalar)


for _formula in list(vars(formulas).values()):
    if isinstance(_formula, FunctionType) and _formula.__module__ == formulas.__name__:
        _register(_formula)
