"""Exceptions that callers may want to catch; and what a package says to a name that it has not, or not yet."""

import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

HERE = os.path.dirname(__file__)


class NonFiniteError(ArithmeticError):
    """A loss, activation or gradient became NaN or infinite while training; the weights of the last good step are kept.

    One case is different, and its message says so: finite gradients whose update overflows (an absurd learning rate).

    Attributes: step (number of steps completed before), layer (its name in the network, or "").
    """

    def __init__(self, message: str, step: int, layer: str) -> None:
        super().__init__(message)
        self.step = step
        self.layer = layer

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.step, self.layer)


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or read; the message names the file and what is wrong with it."""


class DamagedError(CheckpointError):
    """The file is not what was written: missing, cut off, altered or unreadable (EIO). An older checkpoint may be good."""


class MissingError(DamagedError, FileNotFoundError):
    """There is no such checkpoint: a FileNotFoundError, too."""

    def __str__(self) -> str:
        return str(self.args[0])


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning that points to the line of the user's that led to it, however deep in the package it arose."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(HERE) or "contextlib" in frame.f_code.co_filename
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def did_you_mean(name: str, known_names: Iterable[str]) -> str:
    """ "; did you mean 'cross_entropy'?" where one of the known names is near, else nothing."""
    if name.startswith("__"):  # Python asks for such names while it imports
        return ""
    from difflib import get_close_matches

    plain = {_letters(candidate): candidate for candidate in known_names}
    matches = get_close_matches(_letters(name), plain, n=1, cutoff=0.6)
    return f"; did you mean {plain[matches[0]]!r}?" if matches else ""


def late(package: str, name: str, place: str) -> Any:
    """A name that a package shows and imports when it is asked for, because `import backpass` is to be quick."""
    value = getattr(import_module(place, package), name)
    setattr(sys.modules[package], name, value)
    return value


def missing(
    module: str, name: str, known_names: Iterable[str], elsewhere: Mapping[str, str]
) -> AttributeError:
    """What a module raises for a name that it has not: with what the thing is called here, or with a near name."""
    near = f"; here it is {elsewhere[name]}" if name in elsewhere else did_you_mean(name, known_names)
    return AttributeError(f"module {module!r} has no attribute {name!r}{near}")


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
