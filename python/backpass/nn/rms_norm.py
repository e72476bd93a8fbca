"""RMS normalisation: each row divided by its root mean square."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ops import rms_norm_forward
from ..program import Builder, Tensor
from .initial_weights import ones
from .module import Module


class RMSNorm(Module):
    """RMS normalisation: y = x / √(mean(x²) + eps) · weight, over each row (Zhang and Sennrich 2019).

    Args:
        normalized_shape: the last dimensions of the input, a size or a tuple of sizes.
        eps: added to the mean of the squares, in [0, 1]; default None, the model's machine epsilon (1.2e-7 in float32).
        elementwise_affine: whether to learn `weight`, default True.

    Shapes: input and output (N, ..., *normalized_shape); `weight` normalized_shape.

    Raises:
        ValueError: an argument out of range; an input whose last dimensions are others.

    Example:
        >>> nn.RMSNorm(16)
        RMSNorm(16)
    """

    weight: np.ndarray | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, tuple | list) else [normalized_shape]
        if not sizes:
            raise ValueError(
                f"RMSNorm: normalized_shape is {normalized_shape!r}, expected a size or a tuple of sizes"
            )
        self.normalized_shape = tuple(self.positive_int("normalized_shape", size) for size in sizes)
        self.eps = None if eps is None else self.in_range("eps", eps, 0, 1)
        self.size = prod(self.normalized_shape)
        if self.flag("elementwise_affine", elementwise_affine):
            self.parameter("weight", (self.size,), ones, shown=self.normalized_shape)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self.normalized_shape

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        lead = len(x.shape) - len(self.normalized_shape)
        if lead < 1 or x.shape[lead:] != self.normalized_shape:
            raise self.unfit(x, f"the last dimensions to be {self.normalized_shape}")
        rows = builder.reshape(x, (*x.shape[:lead], self.size))
        eps = float(np.finfo(builder.dtype).eps) if self.eps is None else self.eps
        y = builder.emit(rms_norm_forward, x=rows, weight=self.tensor("weight"), eps=eps)
        return builder.reshape(y, x.shape)
