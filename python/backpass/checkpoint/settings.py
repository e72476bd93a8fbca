"""What tells apart two parts that a file cannot describe: a text of their classes and plain settings, and its digest."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..described import Described
from ..nn import Module

PLAIN = (bool, int, float, str, type(None))


def digest_of(part: Any) -> str:
    """Of a network, loss or optimizer: the same in every process that makes it alike.

    It counts classes, the arguments of constructors, and public attributes that are numbers or strings. Functions count by name.
    """
    from hashlib import sha256  # here: `import backpass` is to be quick

    walk = part.walk() if isinstance(part, Module) else [("", part)]
    return sha256("\n".join(f"{name} {_part(one)}" for name, one in walk).encode()).hexdigest()


def text_of(value: Any) -> str:
    """A value as text, in full, without addresses; an array by its digest."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{text_of(key)}: {text_of(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(text_of, value))}]"
    if isinstance(value, set | frozenset):
        # Strings hash otherwise in each process.
        return f"{{{', '.join(sorted(map(text_of, value)))}}}"
    if isinstance(value, Module):
        return type(value).__name__  # the walk comes to it in its own turn
    if isinstance(value, Described):
        return _part(value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        from hashlib import sha256

        return f"{value.dtype}{value.shape} {sha256(np.ascontiguousarray(value).data).hexdigest()}"
    return without_addresses(repr(value))


def without_addresses(text: str) -> str:
    """A repr as it is in every process: functions and objects without a repr of their own say where they are in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _part(part: Any) -> str:
    if not isinstance(part, Described):
        return text_of(part)
    attributes = vars(part)
    # What begins with _ is the object's own, such as counters.
    plain = {
        name: value
        for name, value in attributes.items()
        if name != "version" and name[:1] != "_" and isinstance(value, PLAIN)
    }
    # Both: an attribute of an argument's name may have been changed since.
    return f"{type(part).__qualname__} {text_of(attributes.get('settings', {}))} {text_of(plain)}"
