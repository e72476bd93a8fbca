"""Element-wise functions of tensors and numbers, each an expression of one step; program/expressions.py joins neighbours."""

from typing import Any

import numpy as np

from ..ops import expression
from ..ops.expression import INPUTS
from .builder import Builder
from .derivatives import DERIVATIVES
from .tensor import Tensor
from .views import expand

# A tensor or a number.
Operand = Tensor | float


def elementwise(builder: Builder, function: str, *operands: Operand) -> Tensor:
    """y = function(operands), broadcast as in NumPy; at least one of them is a tensor."""
    shape = np.broadcast_shapes(*(operand.shape for operand in operands if isinstance(operand, Tensor)))
    fitted = [expand(builder, o, shape) if isinstance(o, Tensor) else o for o in operands]
    y = _step(builder, function, *fitted)
    y.requires_grad = any(isinstance(o, Tensor) and o.requires_grad for o in fitted) and not _flat(function)

    def backward(dy: Tensor) -> None:
        for operand, derivative in zip(fitted, DERIVATIVES[function], strict=True):
            if isinstance(operand, Tensor) and operand.requires_grad:
                gradient = derivative(lambda *step: _step(builder, *step), dy, y, *fitted)
                if gradient is not None:
                    builder.add_gradient(operand, gradient)

    return builder.record(y, backward)


def _flat(function: str) -> bool:
    """Whether nothing flows back through a function."""
    return len({*DERIVATIVES[function]}) == 1 and DERIVATIVES[function][0] is DERIVATIVES["sign"][0]


def _step(builder: Builder, function: str, *operands: Any) -> Tensor:
    """The instruction of one step, without a place on the tape."""
    tensors = list(dict.fromkeys(operand for operand in operands if isinstance(operand, Tensor)))
    names = dict(zip(tensors, INPUTS, strict=False))
    words = (names[operand] if isinstance(operand, Tensor) else repr(float(operand)) for operand in operands)
    given = {name: tensor for tensor, name in names.items()}
    return builder.run(expression, **given, steps=" ".join(["y =", function, *words]))
