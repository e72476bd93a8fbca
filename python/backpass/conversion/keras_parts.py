"""What a layer of Keras becomes, and how its arguments are read."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..nn import Module

Config = Mapping[str, Any]
Arrays = Sequence[np.ndarray]


class Converted(NamedTuple):
    """A layer, its arrays by their names, those of them that Keras does not train, and what it wants and gives.

    first: whether the channels of its input come before its positions, which Keras has last; None where either will do.
    rank: the dimensions of its output.
    """

    layer: Module | None
    rank: int
    state: Mapping[str, np.ndarray] = {}
    still: Sequence[str] = ()
    first: bool | None = False


def expect(config: Config, **wanted: Any) -> None:
    """ValueError where an argument of Keras's has a value that has no counterpart here."""
    for name, value in wanted.items():
        given = config.get(name, value)
        if (tuple(given) if isinstance(given, list) else given) != value:
            raise ValueError(f"{name} is {given!r:.80}, expected {value!r}")


def size(sizes: Any) -> Any:
    """One number for equal ones."""
    listed = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    return listed[0] if len({*listed}) == 1 else listed
