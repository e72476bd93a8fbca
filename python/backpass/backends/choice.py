"""The choice of a backend: native, Numba or NumPy, fastest first."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import did_you_mean, warn
from .base import Backend

# name -> class, and what to do where it is missing
KNOWN = {
    "native": (
        "NativeBackend",
        "install a C++ compiler (GCC 12, Clang 14 or newer), then"
        " pip install --force-reinstall --no-cache-dir --no-binary backpass backpass",
    ),
    "numba": ("NumbaBackend", "pip install 'backpass[numba]'"),
    "numpy": ("NumPyBackend", ""),
}
_made: dict[str, Backend] = {}
_missing: dict[str, str] = {}
_current = "auto"
_warned = False


def available_backends() -> list[str]:
    """The backends that work here, fastest first.

    Example:
        >>> "numpy" in bp.available_backends()
        True
    """
    return [name for name in KNOWN if _works(name)]


def why_missing(name: str) -> str:
    """Why a backend does not work here; empty if it does."""
    return "" if _works(name) else _missing[name]


def get_backend(name: str = "auto") -> Backend:
    """A backend by name.

    Args:
        name: "native", "numba" or "numpy"; "auto" (default): the one of set_backend, else of the environment variable
            BACKPASS_BACKEND, else the fastest that works here.

    Raises:
        ValueError: no backend has this name. RuntimeError: the backend does not work here; the message says what to install.

    Example:
        >>> bp.get_backend("numpy").name
        'numpy'
    """
    source = "backend"
    if not isinstance(name, str):
        raise ValueError(f"{source} is {name!r}, expected one of {['auto', *KNOWN]}")
    if name == "auto" and _current != "auto":
        name = _current
    elif name == "auto" and (forced := os.environ.get("BACKPASS_BACKEND", "")):
        name, source = forced, "the environment variable BACKPASS_BACKEND"
    if name == "auto":
        name = next(candidate for candidate in KNOWN if _works(candidate))
        if name != "native":
            _warn_once(name)
    if name not in KNOWN:
        near = did_you_mean(name, ["auto", *KNOWN])
        raise ValueError(f"{source} is {name!r}, expected one of {['auto', *KNOWN]}{near}")
    if not _works(name):
        raise RuntimeError(
            f"the {name} backend does not work here: {_missing[name]}; to get it: {KNOWN[name][1]}"
        )
    return _made[name]


def set_backend(name: str) -> None:
    """Choose what "auto" means from now on, for models that are made later.

    Args:
        name: "auto", "native", "numba" or "numpy".

    Raises:
        ValueError: no backend has this name. RuntimeError: the backend does not work here.

    Example:
        >>> bp.set_backend("auto")
    """
    global _current
    if not isinstance(name, str) or name != "auto":
        get_backend(name)
    _current = name


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Choose what "auto" means inside a with block.

    Args:
        name: "auto", "native", "numba" or "numpy".

    Raises:
        ValueError: no backend has this name. RuntimeError: the backend does not work here.

    Example:
        >>> with bp.use_backend("numpy"):
        ...     model = bp.Model(nn.Linear(4, 1))
    """
    previous_name = _current
    set_backend(name)
    try:
        yield
    finally:
        set_backend(previous_name)


def native_threads(n: int | None = None) -> int | None:
    """Tell the native backend, the only one with threads of its own, how many a program uses that does not say.

    Returns the number that the backend was told last, here or by threadpoolctl; None without it.
    """
    if not _works("native"):
        return None
    if n is not None:
        _made["native"].set_num_threads(n)
    return _made["native"].get_num_threads()


def _warn_once(name: str) -> None:
    """Say that "auto" is a slower backend than it could be."""
    global _warned
    if not _warned:
        _warned = True
        warn(
            f"the native backend does not work here ({_missing['native']}), so backpass runs on {name}, which is slower;"
            f" {KNOWN['native'][1]}. `python -m backpass doctor` says more",
            RuntimeWarning,
        )


def _works(name: str) -> bool:
    if name not in _made and name not in _missing:
        try:
            module = importlib.import_module(f".{name}", __package__)
        except ImportError as error:
            _missing[name] = str(error)
        else:
            _made[name] = getattr(module, KNOWN[name][0])()
    return name in _made
