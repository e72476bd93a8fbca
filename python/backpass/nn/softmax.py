"""Softmax and its logarithm over the last dimension."""

from typing import ClassVar

from ..checks import is_whole
from ..ops import softmax_forward
from ..program import Builder, Tensor
from .module import Module


class Softmax(Module):
    """Softmax over the last dimension: y = e^x / Σ e^x.

    Args:
        dim: -1 (default), the last dimension; or 1, where the input has two.

    Shapes: input (N, ..., C), output alike: probabilities whose sum over C is 1. In front of CrossEntropyLoss leave it out:
    that loss takes x itself.

    Raises:
        ValueError: another dim.

    Example:
        >>> nn.Softmax()
        Softmax()
    """

    gives = "probabilities"
    log: ClassVar[bool] = False

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        if not is_whole(dim) or dim not in (-1, 1):
            raise ValueError(f"{type(self).__name__}: dim is {dim!r}, expected -1 (the last dimension)")
        self.dim = dim

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if self.dim not in (-1, len(x.shape) - 1):
            raise ValueError(
                f"{self!r}: dim is {self.dim} but the input has {len(x.shape)} dimensions; use -1"
            )
        return builder.emit(softmax_forward, x=x, log=self.log)


class LogSoftmax(Softmax):
    """Logarithm of the softmax over the last dimension: y = x - log Σ e^x, as NLLLoss takes it.

    Args:
        dim: -1 (default), the last dimension; or 1, where the input has two.

    Shapes: input (N, ..., C), output alike.

    Raises:
        ValueError: another dim.

    Example:
        >>> nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax())
        Sequential(Linear(4, 3), LogSoftmax())
    """

    gives = "log probabilities"
    log = True
