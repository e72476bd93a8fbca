"""Batch normalisation by the statistics of a batch that ranks share: each has some of its rows."""

from math import prod
from typing import Any

import numpy as np

from ..ops import (
    batch_norm_inference,
    batch_norm_moments,
    batch_norm_rows_backward,
    batch_norm_rows_backward_weight,
    parts_of_rows,
)
from ..program import Builder, Tensor


class Statistics:
    """Mean and variance of each channel over the rows of all ranks, from those of parts of one rank's."""

    def __init__(
        self, builder: Builder, layer: str, x: Tensor, eps: float, unbiased: bool, middle: Any
    ) -> None:
        """layer: who asks, for errors; middle: the running mean, or None."""
        self.layer, self.eps, self.unbiased = layer, eps, unbiased
        self.rows, channels = prod(x.shape) // x.shape[1], x.shape[1]
        parts = parts_of_rows(self.rows, channels)
        self.means, self.squares = (builder.tensor((parts, channels), np.float64) for _ in range(2))
        # var: what normalises; new: what running_var follows.
        self.mean, self.var, self.new, self.inv_std = (builder.tensor((channels,)) for _ in range(4))
        builder.viewed += [self.means, self.squares, self.mean, self.var, self.new, self.inv_std]
        self.heard = self.mean.array
        # What is near the mean, and the same on all ranks: sums of squares of the differences cancel less.
        self.middle = 0.0 if middle is None else middle
        self.count = 0.0

    def tell(self, weight: float) -> np.ndarray:
        """Σ (x - middle), Σ (x - middle)², and of how many values."""
        size = -(-self.rows // len(self.means.array))
        counts = np.clip(self.rows - size * np.arange(len(self.means.array)), 0, size)
        off = self.means.array - self.middle
        return np.concatenate([counts @ off, self.squares.array.sum(0) + counts @ off**2, [self.rows]])

    def hear(self, total: np.ndarray, weight: float) -> None:
        self.count = float(total[-1])
        if self.count < 2:
            raise ValueError(
                f"{self.layer}: cannot train on a batch with one value per channel; use a larger batch_size"
            )
        off, squares = total[:-1].reshape(2, -1) / self.count
        var = np.maximum(squares - off**2, 0)
        self.mean.array[...] = self.middle + off
        self.var.array[...] = var
        self.new.array[...] = var * (self.count / (self.count - 1)) if self.unbiased else var
        self.inv_std.array[...] = 1 / np.sqrt(var + self.eps)


class Slopes:
    """Σ dy x̂ and Σ dy of each channel over the rows of all ranks, from those of parts of one rank's.

    dy is the gradient of the mean loss of the rank's own rows: it counts by their weight in the loss.
    """

    def __init__(self, builder: Builder, statistics: Statistics, parameters: list[Tensor | None]) -> None:
        self.statistics = statistics
        parts, channels = statistics.means.shape
        self.own = [builder.tensor((parts, channels), np.float64) for _ in range(2)]
        self.all = [builder.tensor((1, channels), np.float64) for _ in range(2)]
        self.heard = self.all[0].array
        builder.viewed += [*self.own, *self.all]
        # Of weight and bias the rank's own part of the gradient: those of all ranks are added up with the others.
        self.gradients = [None if p is None else builder.tensor((channels,)) for p in parameters]
        for parameter, gradient in zip(parameters, self.gradients, strict=True):
            if parameter is not None and gradient is not None:
                builder.add_gradient(parameter, gradient)

    def tell(self, weight: float) -> np.ndarray:
        """The sums of this rank's rows, by its weight."""
        sums = [part.array.sum(0) for part in self.own]
        for gradient, own in zip(self.gradients, sums, strict=True):
            if gradient is not None:
                gradient.array[...] = own
        return weight * np.concatenate(sums)

    def hear(self, total: np.ndarray, weight: float) -> None:
        # The op divides by the rows of this rank. Without weight the gradient counts nothing.
        share = self.statistics.rows / self.statistics.count / (weight or 1.0)
        for array, each in zip(self.all, total.reshape(2, -1), strict=True):
            array.array[0] = share * each


def by_all_ranks(
    builder: Builder, x: Tensor, statistics: Statistics, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """(B, C, ...) normalised by the statistics of the rows of all ranks."""
    from ..program.channels import from_rows_of_channels, rows_of_channels  # `import backpass` is to be quick
    from ..program.masks import STATISTICS, refuse_steps  # as above

    refuse_steps(builder, statistics.layer, x, STATISTICS)
    together = rows_of_channels(builder, x)
    rows = builder.reshape(together, (statistics.rows, x.shape[1]))
    moments: dict[str, Any] = {"means": statistics.means, "squares": statistics.squares}
    builder.run(batch_norm_moments, x=rows, **moments)
    builder.meetings.append(statistics)
    planes = builder.view(rows, rows.array[:, :, None], whole=True)
    fields: dict[str, Any] = {"running_mean": statistics.mean, "running_var": statistics.var}
    y = builder.run(batch_norm_inference, x=planes, weight=weight, bias=bias, eps=statistics.eps, **fields)
    y = Tensor(y.array.reshape(rows.shape), True)

    def backward(dy: Tensor) -> None:
        slopes = Slopes(builder, statistics, [weight, bias])
        given: dict[str, Any] = {
            "x": rows, "mean": statistics.mean, "inv_std": statistics.inv_std, "dy": builder.contiguous(dy),
        }  # fmt: skip
        builder.run(batch_norm_rows_backward, **given, slopes=slopes.own[0], shifts=slopes.own[1])
        builder.meetings.append(slopes)
        given |= {"weight": weight, "slopes": slopes.all[0], "shifts": slopes.all[1]}
        builder.add_gradient(
            rows, builder.run(batch_norm_rows_backward_weight, **given, dx=builder.tensor(rows.shape))
        )

    builder.record(y, backward)
    return from_rows_of_channels(builder, builder.reshape(y, together.shape), x.shape)
