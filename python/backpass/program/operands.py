"""What functions are given: tensors of a program, and arrays that become constants of it."""

from typing import Any

import numpy as np

from .builder import Builder
from .symbolic import SymbolicTensor, are_alike, operand
from .tensor import Tensor


def builder_of(*values: Any) -> Builder:
    """That of the first tensor; TypeError if there is none."""
    for value in values:
        if isinstance(value, SymbolicTensor):
            return value.builder
    raise TypeError("expected at least one tensor of forward; for arrays alone take NumPy's function")


def constant(builder: Builder, value: Any) -> SymbolicTensor:
    """An array as a tensor that does not change."""
    tensor = operand(builder, np.asarray(value))
    assert isinstance(tensor, Tensor)
    return SymbolicTensor(builder, tensor)


def in_rows(builder: Builder, value: Any) -> SymbolicTensor:
    """An array in the place of a tensor with a row for each row of the batch: what it gives a row where all are alike."""
    tensor = constant(builder, value)
    return SymbolicTensor(builder, tensor.tensor, 1 if are_alike(np.asarray(value)) else 0)
