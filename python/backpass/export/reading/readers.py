"""Which reader computes which operator: one that is not here is refused by name."""

from collections.abc import Callable
from typing import Any

from .call import Call, is_array
from .constants import FOLDED, constant, constant_of_shape, range_
from .elementwise import ELEMENTWISE
from .norms import NORMS
from .parts import PARTS
from .products import PRODUCTS
from .recurrent import RECURRENT
from .reducing import REDUCING
from .resize import resize
from .shapes import SHAPES
from .windows import WINDOWS

READERS: dict[str, Callable[[Call], Any]] = {
    **ELEMENTWISE, **SHAPES, **PARTS, **REDUCING, **PRODUCTS, **WINDOWS, **NORMS, **RECURRENT,
    "Resize": resize, "Constant": constant, "ConstantOfShape": constant_of_shape, "Range": range_,
}  # fmt: skip
# What a file may hold: weights.py arranges the last three.
OPERATORS = frozenset([*READERS, *FOLDED, "LSTM", "GRU", "RNN"]) - {*RECURRENT}

# What a reader may raise of a file that is not what it should be.
WRONG = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def computed(call: Call) -> Any:
    """The outputs of a node, of arrays alone at once; ValueError names the node."""
    try:
        return _read(call)
    except WRONG as error:
        raise ValueError(f"{call.node}: {error}") from error


def _read(call: Call) -> Any:
    fold = call.node.op in FOLDED and all(is_array(value) for value in call.values)
    reader = FOLDED[call.node.op] if fold else READERS.get(call.node.op)
    if reader is None:
        raise ValueError("its inputs have to be known before any row is")
    found = reader(call)
    call.finish()
    return found
