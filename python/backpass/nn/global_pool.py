"""Global pooling: all positions of a channel become one number."""

from math import prod

import numpy as np

from ..ops import Op, adaptive_avg_pool2d_forward, adaptive_max_pool2d_forward, to_number
from ..program import Builder, Tensor
from ..program.arithmetic import elementwise
from ..program.masks import filled_behind
from ..program.reductions import total
from .pooling import Pooling


class GlobalPooling(Pooling):
    """Base of the layers below: (N, C, *) becomes (N, C)."""

    def over_all(self, builder: Builder, x: Tensor, op: Op) -> Tensor:
        """Emit an adaptive op with one window."""
        if len(x.shape) < 3 or 0 in x.shape[2:]:
            raise self.unfit_places(x, "positions, ...")
        lengths = self.lengths(builder, x)
        if lengths is not None:
            return self.up_to_ends(builder, x, lengths)
        return self._over_all(builder, x, op)

    def _over_all(self, builder: Builder, x: Tensor, op: Op) -> Tensor:
        rows, channels = x.shape[:2]
        if len(x.shape) > 4:
            x = builder.reshape(x, (rows, channels, prod(x.shape[2:])))
        y = self.pooled(builder, x, op, output_h=1, output_w=1)
        return builder.reshape(y, (rows, channels))

    def up_to_ends(self, builder: Builder, x: Tensor, lengths: Tensor) -> Tensor:
        """The output for sequences of which each row has its length; 0 for a row of none."""
        raise TypeError(f"{type(self).__name__} has to define up_to_ends(builder, x, lengths)")


class GlobalAvgPool(GlobalPooling):
    """Global average pooling: y[n,c] = the mean of x[n,c] over all positions (Lin et al. 2014).

    Of sequences whose rows have lengths, it is the mean up to the end of each row.

    Shapes: input (N, C, *) with one or more dimensions of positions, output (N, C).

    Raises:
        ValueError: an input without positions.

    Example:
        >>> nn.Sequential(nn.ReLU(), nn.GlobalAvgPool())
        Sequential(ReLU(), GlobalAvgPool())
    """

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return self.over_all(builder, x, adaptive_avg_pool2d_forward)

    def up_to_ends(self, builder: Builder, x: Tensor, lengths: Tensor) -> Tensor:
        sums = total(builder, filled_behind(builder, x, lengths, 0.0), [2])
        counts = builder.reshape(builder.run(to_number, x=lengths), (x.shape[0], 1))
        return elementwise(builder, "div", sums, elementwise(builder, "maximum", counts, 1.0))


class GlobalMaxPool(GlobalPooling):
    """Global maximum pooling: y[n,c] = the maximum of x[n,c] over all positions; the first of equal ones gets the gradient.

    Of sequences whose rows have lengths, it is the maximum up to the end of each row.

    Shapes: input (N, C, *) with one or more dimensions of positions, output (N, C).

    Raises:
        ValueError: an input without positions.

    Example:
        >>> nn.GlobalMaxPool()
        GlobalMaxPool()
    """

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return self.over_all(builder, x, adaptive_max_pool2d_forward)

    def up_to_ends(self, builder: Builder, x: Tensor, lengths: Tensor) -> Tensor:
        counted = filled_behind(builder, x, lengths, -np.inf)
        y = self._over_all(builder, counted, adaptive_max_pool2d_forward)
        counts = builder.reshape(builder.run(to_number, x=lengths), (x.shape[0], 1))
        return elementwise(builder, "where", counts, y, 0.0)
