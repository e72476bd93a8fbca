"""Activations of tensors."""

from ..ops import activation_forward
from ..ops.formulas import ACTIVATIONS
from .builder import Builder
from .tensor import Tensor


def activation(builder: Builder, x: Tensor, formula: str, alpha: float = 0.0) -> Tensor:
    """y = f(x), one of `ops.formulas.ACTIVATIONS`; behind a linear layer it is fused with it."""
    stores = ACTIVATIONS[formula].stores_slope and builder.training
    return builder.emit(
        activation_forward, want=["slope"] if stores else [], x=x, activation=formula, alpha=alpha
    )
