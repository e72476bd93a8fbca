"""Arithmetic of integers that become indices: int64 to the last bit, where all operands are integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks import is_whole
from ..ops import index_function, index_where, to_index, to_number
from ..ops.index_arithmetic import INDEX_FUNCTIONS
from .builder import Builder
from .limits import NO_LIMIT
from .symbolic_base import SymbolicBase
from .tensor import Tensor
from .views import expand

ARITHMETIC = ("add", "sub", "mul", "floordiv", "mod")


def is_integral(value: Any) -> bool:
    """Whether it is a tensor of indices, an integer, or an array of integers."""
    if isinstance(value, SymbolicBase):
        return value.dtype == np.int64
    if isinstance(value, np.ndarray | list | tuple):
        return np.asarray(value).dtype.kind in "iu"
    return is_whole(value) and not isinstance(value, bool | np.bool_)


def are_integral(*values: Any) -> bool:
    """Whether all of them are, and one is a tensor."""
    return any(isinstance(value, SymbolicBase) for value in values) and all(map(is_integral, values))


def whole_operand(builder: Builder, value: Any) -> Tensor:
    """A tensor of indices of the program; an integer or an array becomes a constant."""
    if isinstance(value, SymbolicBase):
        return value._within(builder).tensor
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or (array.size and int(array.max()) >= 2**63):
        raise ValueError(f"{value!r:.60} in forward, expected an integer of 64 bits")
    return Tensor(np.ascontiguousarray(array, np.int64).reshape(array.shape))


def computed(builder: Builder, function: str, *values: Any) -> Tensor:
    """A function of integers: sums, products and a choice give integers, comparisons the numbers 1 and 0."""
    if function == "neg":
        return computed(builder, "sub", 0, *values)
    if function in ("minimum", "maximum"):
        before = computed(builder, "lt" if function == "minimum" else "gt", *values)
        return _chosen(builder, before, *(whole_operand(builder, value) for value in values))
    a, b = (whole_operand(builder, value) for value in values)
    if function in ("floordiv", "mod"):
        # Numbers have no such function: inputs of integers stay integers.
        builder.ranges += [(x.array, NO_LIMIT) for x in (a, b)]
        if not isinstance(values[1], SymbolicBase) and not np.all(values[1]):
            raise ValueError(f"{function}: an integer is divided by 0")
    a, b = _expanded(builder, a, b)
    y = builder.run(index_function, a=a, b=b, function=function)
    return y if function in ARITHMETIC else builder.run(to_number, x=y)


def chosen(builder: Builder, condition: Tensor | float, a: Any, b: Any) -> Tensor:
    """The integers of a where a condition is not 0, else those of b."""
    mask = condition if isinstance(condition, Tensor) else Tensor(np.full((), condition, builder.dtype))
    return _chosen(builder, mask, whole_operand(builder, a), whole_operand(builder, b))


def _chosen(builder: Builder, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    condition, a, b = _expanded(builder, condition, a, b)
    return builder.run(index_where, condition=Tensor(condition.array), a=a, b=b)


def truncated(builder: Builder, x: Tensor) -> Tensor:
    """Numbers without their fractions, as indices."""
    return builder.run(to_index, x=Tensor(x.array))


def _expanded(builder: Builder, *tensors: Tensor) -> Sequence[Tensor]:
    shape = np.broadcast_shapes(*(x.shape for x in tensors))
    return [expand(builder, x, shape) for x in tensors]


# What `computed` knows, by the names of an expression's functions.
KNOWN = frozenset([*INDEX_FUNCTIONS, "neg", "minimum", "maximum"])
