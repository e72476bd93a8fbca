"""The NumPy backend: the reference ops as they are, and updates piece by piece."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ..ops.contract import CHUNK, REGISTRY, Op
from .base import Backend


def in_pieces(op: Op, **fields: Any) -> None:
    """An optimizer's step on pieces of the parameters, one after the other: the arrays that lie between its operations are as
    long as a piece and stay in the cache, where those of a whole model would go through memory each."""
    size = len(fields["params"])
    if size <= CHUNK:
        return op.function(**fields)
    flat = {
        name: fields[name]
        for name, array in op.arrays.items()
        if array.dims == ("N",) and fields[name] is not None
    }
    for start in range(0, size, CHUNK):
        op.function(**fields | {name: array[start : start + CHUNK] for name, array in flat.items()})
    return None


class NumPyBackend(Backend):
    """Runs everywhere, and defines what the others compute."""

    name = "numpy"

    def function(self, name: str) -> Callable[..., None]:
        op = REGISTRY[name]
        return partial(in_pieces, op) if "params" in op.outputs else op.function
