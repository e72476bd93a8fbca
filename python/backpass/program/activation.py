"""Element-wise layers of tensors: activations, and what they share with dropout."""

from collections.abc import Callable

from ..ops import activation_forward
from ..ops.formulas import ACTIVATIONS
from .builder import Builder
from .tensor import Tensor


def activation(builder: Builder, x: Tensor, formula: str, alpha: float = 0.0) -> Tensor:
    """y = f(x), one of `ops.formulas.ACTIVATIONS`; behind a linear layer it is fused with it."""
    stores = ACTIVATIONS[formula].stores_slope and builder.training

    def compute(x: Tensor) -> Tensor:
        return builder.emit(
            activation_forward, want=["slope"] if stores else [], x=x, activation=formula, alpha=alpha
        )

    return elementwise_layer(builder, compute, x)


def elementwise_layer(builder: Builder, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """compute(x) in the order of x's memory."""
    if x.array.flags.c_contiguous:
        return compute(x)
    from .order import keeping_order  # here: `import backpass` is to be quick

    return keeping_order(builder, compute, x)
