"""Hints for refused names and values: what was probably meant."""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..callbacks import Callback
from ..checks import is_number
from ..errors import did_you_mean
from .elsewhere import LOSSES, VALUES

YES, NO = ("yes", "on", "true"), ("no", "off", "false")


def value_hint(name: str, value: Any, options: Iterable[str] = (), flag: bool = False) -> str:
    """Hint for a refused value of a parameter: "; did you mean 'adam'?", or nothing.

    Args:
        options: the strings that the parameter may be. flag: whether it may be True or False.
    """
    if name == "dtype":
        return _dtype_hint(value, options)
    if isinstance(value, str):
        return _string_hint(name, value, [*options], flag)
    if name == "learning_rate" and is_number(value):
        return f"; did you mean learning_rate_init={value!r}?"
    if name == "callbacks":
        return "; did you mean a list of one?" if isinstance(value, Callback) else ""
    if isinstance(value, float) and value.is_integer():
        return f"; did you mean {int(value)}?"
    cls = value if isinstance(value, type) else type(value)
    return did_you_mean(cls.__name__, options) if cls.__module__.startswith("backpass.") else ""


def name_hint(name: str, known_names: Iterable[str], elsewhere: Mapping[str, str]) -> str:
    """Hint for a refused name of a parameter. elsewhere: names of other libraries, and what to do instead."""
    return f"; {elsewhere[name]}" if name in elsewhere else did_you_mean(name, known_names)


def _dtype_hint(value: Any, options: Iterable[str]) -> str:
    try:
        name = np.dtype(value).name
    except (TypeError, ValueError):
        return ""
    return f"; did you mean {name!r}?" if name in options else ""


def _string_hint(name: str, value: str, options: list[str], flag: bool) -> str:
    text = value.lower()
    if name == "lr_schedule":
        return "; a schedule is an object such as optim.schedules.cosine(lr, total_steps)"
    if name == "backend" and text in ("cuda", "gpu", "mps"):
        return "; backpass trains on the CPU"
    if flag and text in (*YES, *NO):
        return f"; did you mean {text in YES}?"
    meant = VALUES.get(name, {}).get(text, text)
    if meant in options:
        return f"; did you mean {meant!r}?"
    if name == "loss" and (owner := LOSSES.get(meant)):
        return f"; {meant!r} is a loss of {owner}"
    return did_you_mean(value, options) or _quoted_number(value)


def _quoted_number(text: str) -> str:
    try:
        return f"; did you mean {ast.literal_eval(text[:80])!r}?"
    except (SyntaxError, ValueError):
        return ""
