"""Dropout: zero each value with probability p while training, and scale the others by 1/(1-p)."""

from typing import Any, ClassVar

from ..ops import dropout_forward
from ..program import Builder, Tensor
from ..program.activation import elementwise_layer
from .module import Module


class Dropout(Module):
    """Dropout: y = 0 with probability p, else x / (1 - p), while training; the identity otherwise (Srivastava et al. 2014).

    Args:
        p: in [0, 1], default 0.5.
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike. What is dropped is a function of the model's seed and the step.

    Raises:
        ValueError: a p outside [0, 1].

    Example:
        >>> nn.Dropout(0.1)
        Dropout(p=0.1)
    """

    always_shown: ClassVar[tuple[str, ...]] = ("p",)

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = self.in_range("p", p, 0, 1)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return dropped(builder, x, self.p)


def dropped(builder: Builder, x: Tensor, p: float) -> Tensor:
    """x with values dropped while training; x itself otherwise."""
    if not builder.training or p == 0:
        return x
    fields: dict[str, Any] = {"step": builder.step, "p": p, "seed": builder.seed, "stream": builder.stream()}
    return elementwise_layer(builder, lambda x: builder.emit(dropout_forward, x=x, **fields), x)
