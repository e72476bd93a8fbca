"""How kernels are compiled: Numba's options in one place, and what binds an op's fields to a kernel's arguments."""

import inspect
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np

from ...ops import formulas

F = TypeVar("F", bound=Callable[..., Any])
Bound = tuple[Callable[..., None], tuple[Any, ...]]  # a kernel and its arguments

# Numba's cache notices a change in a kernel's own file only: the names of kernels change with all that they are made of.
_SOURCES = [Path(formulas.__file__), *sorted(Path(__file__).parent.glob("*.py"))]
_STAMP = f"{zlib.crc32(b''.join(file.read_bytes() for file in _SOURCES)):08x}"


def jit(function: F) -> F:
    """Compile at first use, keep it in the cache, release the GIL; 1/0 is inf as in NumPy."""
    return _compiled(function, fastmath=False)


def jit_sums(function: F) -> F:
    """The same where sums may be taken in any order, many side by side; NaN and inf stay what they are."""
    return _compiled(function, fastmath={"reassoc"})


def _compiled(function: F, fastmath: Any) -> F:
    function.__qualname__ = f"{function.__qualname__}_{_STAMP}"
    njit: Any = partial(numba.njit, error_model="numpy", nogil=True, fastmath=fastmath)
    try:
        compiled: F = njit(cache=True)(function)
    except RuntimeError:  # nowhere to write a cache
        compiled = njit()(function)
    _mend_cache(compiled)
    return compiled


def _mend_cache(compiled: Any) -> None:
    """Compile anew where a file of the cache is damaged: Numba raises whatever unpickling it happens to raise."""
    cache = getattr(compiled, "_cache", None)
    load = getattr(cache, "load_overload", None)
    if cache is None or load is None:
        return

    def load_or_forget(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        # A damaged pickle may raise anything.
        except Exception:
            try:
                cache.flush()
            except OSError:
                cache.disable()
            return None

    cache.load_overload = load_or_forget


def direct(kernel: Any) -> Callable[..., Bound]:
    """The binder of a kernel that takes the op's fields as they are."""
    names = tuple(inspect.signature(kernel).parameters)
    return lambda **fields: (kernel, tuple(fields[name] for name in names))


def flat(array: np.ndarray) -> np.ndarray:
    """Any shape as a vector: the same data."""
    return array.reshape(-1)


def maybe(view: Callable[[np.ndarray], np.ndarray], array: np.ndarray | None) -> np.ndarray | None:
    """A view of an optional array."""
    return None if array is None else view(array)
