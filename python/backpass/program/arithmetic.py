"""Element-wise functions of tensors and numbers, each an expression of one step; program/join.py joins neighbours."""

from functools import partial
from typing import Any

import numpy as np

from ..ops import expression
from ..ops.expression import INPUTS
from .builder import Builder
from .derivatives import DERIVATIVES
from .order import in_memory_order
from .tensor import Tensor
from .views import expand

# A tensor or a number.
Operand = Tensor | float


def elementwise(builder: Builder, function: str, *operands: Operand) -> Tensor:
    """y = function(operands), broadcast as in NumPy; at least one of them is a tensor."""
    shape = np.broadcast_shapes(*(operand.shape for operand in operands if isinstance(operand, Tensor)))
    fitted = [expand(builder, o, shape) if isinstance(o, Tensor) else o for o in operands]
    y = step(builder, function, *fitted)
    flowing = [
        (operand, derivative)
        for operand, derivative in zip(fitted, DERIVATIVES[function], strict=True)
        if isinstance(operand, Tensor) and operand.requires_grad and derivative is not None
    ]
    y.requires_grad = bool(flowing)

    def backward(dy: Tensor) -> None:
        for operand, derivative in flowing:
            builder.add_gradient(operand, derivative(partial(step, builder), dy, y, *fitted))

    return builder.record(y, backward)


def step(builder: Builder, function: str, *operands: Any) -> Tensor:
    """The instruction of one step on tensors of one shape and numbers, without a place on the tape."""
    tensors = list(dict.fromkeys(operand for operand in operands if isinstance(operand, Tensor)))
    names = dict(zip(tensors, INPUTS, strict=False))
    words = (names[operand] if isinstance(operand, Tensor) else repr(float(operand)) for operand in operands)
    steps = " ".join(["y =", function, *words])

    def compute(*ordered: Tensor) -> Tensor:
        return builder.run(expression, **dict(zip(INPUTS, ordered, strict=False)), steps=steps)

    return in_memory_order(builder, compute, tensors)
