"""The layers of backpass.nn as the generated tests use them: found in the package, not listed by hand."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, get_args, get_origin, get_type_hints

from backpass import nn
from backpass.nn.activation import Activation


def choices(cls: type) -> Iterator[dict[str, Any]]:
    """Arguments for every word that a constructor's Literal annotations offer."""
    yield {}
    for name, hint in get_type_hints(cls.__init__).items():
        if get_origin(hint) is Literal and name in inspect.signature(cls).parameters:
            yield from ({name: word} for word in get_args(hint))


def activation_layers() -> dict[str, Callable[[], nn.Layer]]:
    """What makes a layer, by the formula that it computes."""
    classes = [getattr(nn, name) for name in nn.__all__]
    made: dict[str, Callable[[], nn.Layer]] = {}
    for cls in classes:
        if isinstance(cls, type) and issubclass(cls, Activation):
            for arguments in choices(cls):
                made.setdefault(cls(**arguments).formula, partial(cls, **arguments))
    return made
