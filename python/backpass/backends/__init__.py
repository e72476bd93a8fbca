"""The choice of a backend: native, Numba or NumPy, fastest first."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from .base import Backend, Executor

__all__ = [
    "Backend", "Executor", "available_backends", "get_backend", "get_num_threads", "set_backend", "set_num_threads",
    "use_backend", "why_missing",
]  # fmt: skip

# name -> class, and what to do where it is missing
KNOWN = {
    "native": (
        "NativeBackend",
        "reinstall with a C++ compiler (pip install --force-reinstall --no-binary backpass backpass)",
    ),
    "numba": ("NumbaBackend", "pip install 'backpass[numba]'"),
    "numpy": ("NumPyBackend", ""),
}
_made: dict[str, Backend] = {}
_missing: dict[str, str] = {}
_current = "auto"


def available_backends() -> list[str]:
    """The backends that work here, fastest first."""
    return [name for name in KNOWN if _works(name)]


def why_missing(name: str) -> str:
    """Why a backend does not work here; empty if it does."""
    return "" if _works(name) else _missing[name]


def get_backend(name: str = "auto") -> Backend:
    """A backend by name; "auto": the one of set_backend, else of BACKPASS_BACKEND, else the fastest."""
    source = "backend"
    if not isinstance(name, str):
        raise ValueError(f"{source} is {name!r}, expected one of {['auto', *KNOWN]}")
    if name == "auto" and _current != "auto":
        name = _current
    elif name == "auto" and (forced := os.environ.get("BACKPASS_BACKEND", "")):
        name, source = forced, "the environment variable BACKPASS_BACKEND"
    if name == "auto":
        name = next(known for known in KNOWN if _works(known))
    if name not in KNOWN:
        raise ValueError(f"{source} is {name!r}, expected one of {['auto', *KNOWN]}")
    if not _works(name):
        raise RuntimeError(
            f"the {name} backend does not work here: {_missing[name]}; to get it: {KNOWN[name][1]}"
        )
    return _made[name]


def set_backend(name: str) -> None:
    """Choose what "auto" means from now on."""
    global _current
    if not isinstance(name, str) or name != "auto":
        get_backend(name)
    _current = name


def set_num_threads(n: int) -> None:
    """Tell the native backend, the only one with threads of its own, how many a program uses that does not say."""
    if _works("native"):
        _made["native"].set_num_threads(n)


def get_num_threads() -> int | None:
    """What the native backend was told last, here or by threadpoolctl; None without it."""
    return _made["native"].get_num_threads() if _works("native") else None


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Choose what "auto" means inside a with block."""
    before = _current
    set_backend(name)
    try:
        yield
    finally:
        set_backend(before)


def _works(name: str) -> bool:
    if name not in _made and name not in _missing:
        try:
            module = importlib.import_module(f".{name}", __package__)
        except ImportError as error:
            _missing[name] = str(error)
        else:
            _made[name] = getattr(module, KNOWN[name][0])()
    return name in _made
