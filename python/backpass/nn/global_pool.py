"""Global pooling: all positions of a channel become one number."""

from math import prod

from ..ops import Op, adaptive_avg_pool2d_forward, adaptive_max_pool2d_forward
from ..program import Builder, Tensor
from .pooling import Pooling


class GlobalPooling(Pooling):
    """Base of the layers below: (N, C, *) becomes (N, C)."""

    def over_all(self, builder: Builder, x: Tensor, op: Op) -> Tensor:
        """Emit an adaptive op with one window."""
        if len(x.shape) < 3 or 0 in x.shape[2:]:
            raise self.unfit_places(x, "positions, ...")
        rows, channels = x.shape[:2]
        if len(x.shape) > 4:
            x = builder.reshape(x, (rows, channels, prod(x.shape[2:])))
        y = self.pooled(builder, x, op, output_h=1, output_w=1)
        return builder.reshape(y, (rows, channels))


class GlobalAvgPool(GlobalPooling):
    """Global average pooling: y[n,c] = the mean of x[n,c] over all positions (Lin et al. 2014).

    Shapes: input (N, C, *) with one or more dimensions of positions, output (N, C).

    Raises:
        ValueError: an input without positions.

    Example:
        >>> nn.Sequential(nn.ReLU(), nn.GlobalAvgPool())
        Sequential(ReLU(), GlobalAvgPool())
    """

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return self.over_all(builder, x, adaptive_avg_pool2d_forward)


class GlobalMaxPool(GlobalPooling):
    """Global maximum pooling: y[n,c] = the maximum of x[n,c] over all positions; the first of equal ones gets the gradient.

    Shapes: input (N, C, *) with one or more dimensions of positions, output (N, C).

    Raises:
        ValueError: an input without positions.

    Example:
        >>> nn.GlobalMaxPool()
        GlobalMaxPool()
    """

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return self.over_all(builder, x, adaptive_max_pool2d_forward)
