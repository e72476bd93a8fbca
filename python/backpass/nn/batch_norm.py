"""Batch normalisation of (B, C), (B, C, L) or (B, C, H, W): each channel to mean 0 and variance 1 over the batch."""

from math import prod
from typing import Any, ClassVar

import numpy as np

from ..ops import (
    batch_norm_forward,
    batch_norm_inference,
    batch_norm_moments,
    batch_norm_rows,
    batch_norm_track,
    parts_of_rows,
)
from ..program import Builder, Tensor
from .initial_weights import ones, zeros
from .module import Module

# A number of values n whose n / (n - 1) is 1: the variance stays what it is.
BIASED = 2**62
# Channels up to which rows are cut into parts; more of them are enough tasks by themselves.
FEW = 256


def by_batch(
    builder: Builder,
    layer: str,
    x: Tensor,
    eps: float,
    weight: Tensor | None,
    bias: Tensor | None,
    tracked: bool,
) -> tuple[Tensor, dict[str, np.ndarray]]:
    """(B, C, ...) normalised by the statistics of the batch; with `tracked` also these, "mean" and "var".

    layer: who asks, for errors.
    """
    from ..program.channels import from_planes, lies_channels_last, planes  # `import backpass` is to be quick
    from ..program.masks import STATISTICS, refuse_steps  # as above

    refuse_steps(builder, layer, x, STATISTICS)
    rows, channels, length = (together := planes(builder, x)).shape
    parts = parts_of_rows(rows, channels)
    fields: dict[str, Any] = {"weight": weight, "bias": bias, "eps": eps}
    want = ("var",) if tracked else ()
    if lies_channels_last(x) and parts > 1 and channels <= FEW:
        together = builder.reshape(together, (rows, channels))
        means, squares = (builder.tensor((parts, channels), np.float64) for _ in range(2))
        builder.run(batch_norm_moments, x=together, means=means, squares=squares)
        y = builder.emit(batch_norm_rows, want=want, x=together, means=means, squares=squares, **fields)
    else:
        y = builder.emit(batch_norm_forward, want=want, x=together, **fields)
    statistics = {name: builder.output(name).array for name in (("mean", "var") if tracked else ())}
    return from_planes(builder, builder.reshape(y, (rows, channels, length)), x), statistics


class BatchNorm(Module):
    """What the layers share: they differ in the shapes that they take."""

    # What may follow (batch, C), in words.
    lengths: ClassVar[tuple[tuple[str, ...], ...]] = ()
    weight: np.ndarray | None
    bias: np.ndarray | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        unbiased: bool = True,
        synchronized: bool = False,
    ) -> None:
        super().__init__()
        self.num_features = self.positive_int("num_features", num_features)
        self.whole_batch = not self.flag("track_running_stats", track_running_stats)
        self.eps = self.in_range("eps", eps, 0, 1)
        self.momentum = None if momentum is None else self.in_range("momentum", momentum, 0, 1)
        self.unbiased = self.flag("unbiased", unbiased)
        # Not 0: the statistics are those of all ranks.
        self.numbers_shared = 2 * self.num_features + 1 if self.flag("synchronized", synchronized) else 0
        shape = (self.num_features,)
        if self.flag("affine", affine):
            self.parameter("weight", shape, ones)
            self.parameter("bias", shape, zeros)
        if not self.whole_batch:
            self.starts |= {
                "running_mean": (shape, 0.0),
                "running_var": (shape, 1.0),
                "num_batches_tracked": ((), 0),
            }

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        return (self.num_features,) if () in self.lengths else None

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        shape, channels = x.shape, self.num_features
        if len(shape) - 2 not in map(len, self.lengths) or shape[1] != channels:
            taken = " or ".join(f"({', '.join(('batch', str(channels), *rest))})" for rest in self.lengths)
            raise self.unfit(x, taken)
        weight, bias = self.tensor("weight"), self.tensor("bias")
        mean, var = self.state.get("running_mean"), self.state.get("running_var")
        if not builder.training and mean is not None:
            from ..program.channels import from_planes, planes  # as above

            y = builder.emit(
                batch_norm_inference, x=planes(builder, x), weight=weight, bias=bias, eps=self.eps,
                running_mean=mean, running_var=var,
            )  # fmt: skip
            return from_planes(builder, y, x)
        count = shape[0] * prod(shape[2:])
        together = bool(self.numbers_shared) and builder.shared
        if builder.training and count < 2 and not together:
            raise ValueError(
                f"{self!r}: cannot train on a batch with one value per channel; use a larger batch_size"
            )
        tracked = builder.training and mean is not None
        if together:
            from .synchronized import Statistics, by_all_ranks  # as above

            found = Statistics(builder, repr(self), x, self.eps, self.unbiased, mean)
            y = by_all_ranks(builder, x, found, weight, bias)
            of_batch, unbiased = {"mean": found.mean.array, "var": found.new.array}, False
        else:
            y, of_batch = by_batch(builder, repr(self), x, self.eps, weight, bias, tracked)
            unbiased = self.unbiased
        if tracked:
            builder.keep(
                batch_norm_track,
                **of_batch,
                running_mean=mean,
                running_var=var,
                batches=self.state["num_batches_tracked"].reshape(1),
                count=count if unbiased else BIASED,
                momentum=-1.0 if self.momentum is None else self.momentum,
            )
        return y


class BatchNorm1d(BatchNorm):
    """Batch normalisation: y = (x - mean) / √(var + eps) · weight + bias (Ioffe and Szegedy 2015; PyTorch's `nn.BatchNorm1d`).

    While training, mean and var are those of the batch, and the running statistics follow them:
    running += momentum · (new - running). Inference takes the running statistics.

    Args:
        num_features: C of the input, at least 1.
        eps: added to the variance, in [0, 1], default 1e-5.
        momentum: the weight of the new value, in [0, 1], default 0.1; None averages all batches alike.
        affine: whether to learn `weight` and `bias`, default True.
        track_running_stats: default True; if False, inference takes the statistics of all rows it is given.
        unbiased: whether running_var follows the unbiased variance, default True; Keras's follows the biased one.
        synchronized: whether the batch is that of all ranks of `fit(comm=)`, default False: each rank's own rows.

    Shapes: input and output (N, C) or (N, C, L); `weight`, `bias`, `running_mean`, `running_var` (C,).

    Raises:
        ValueError: an argument out of range; an input of another shape; a training batch with one value a channel.

    Example:
        >>> nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
        Sequential(Linear(4, 8), BatchNorm1d(8), ReLU())
    """

    lengths = ((), ("length",))


class SyncBatchNorm(BatchNorm):
    """Batch normalisation by all ranks' rows: y = (x - mean) / √(var + eps) · weight + bias (PyTorch's `nn.SyncBatchNorm`).

    It is BatchNorm1d or BatchNorm2d with synchronized=True. Without `fit(comm=)` the batch is that of the one process.

    Args:
        num_features: C of the input, at least 1.
        eps: added to the variance, in [0, 1], default 1e-5.
        momentum: the weight of the new value, in [0, 1], default 0.1; None averages all batches alike.
        affine: whether to learn `weight` and `bias`, default True.
        track_running_stats: default True; if False, inference takes the statistics of all rows it is given.
        unbiased: whether running_var follows the unbiased variance, default True; Keras's follows the biased one.

    Shapes: input and output (N, C), (N, C, L) or (N, C, H, W); `weight`, `bias`, `running_mean`, `running_var` (C,).

    Raises:
        ValueError: an argument out of range; an input of another shape; a training batch with one value a channel.

    Example:
        >>> nn.Sequential(nn.Linear(4, 8), nn.SyncBatchNorm(8), nn.ReLU())
        Sequential(Linear(4, 8), SyncBatchNorm(8), ReLU())
    """

    lengths = ((), ("length",), ("height", "width"))
    # Nothing tells which of these.
    row_shape = None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        unbiased: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, unbiased=unbiased, synchronized=True
        )


class BatchNorm2d(BatchNorm):
    """Batch normalisation of images: y = (x - mean) / √(var + eps) · weight + bias (PyTorch's `nn.BatchNorm2d`).

    While training, mean and var of a channel are those of all its pixels in the batch, and the running statistics follow them:
    running += momentum · (new - running). Inference takes the running statistics.

    Args:
        num_features: C of the input, at least 1.
        eps: added to the variance, in [0, 1], default 1e-5.
        momentum: the weight of the new value, in [0, 1], default 0.1; None averages all batches alike.
        affine: whether to learn `weight` and `bias`, default True.
        track_running_stats: default True; if False, inference takes the statistics of all rows it is given.
        unbiased: whether running_var follows the unbiased variance, default True; Keras's follows the biased one.
        synchronized: whether the batch is that of all ranks of `fit(comm=)`, default False: each rank's own rows.

    Shapes: input and output (N, C, H, W); `weight`, `bias`, `running_mean`, `running_var` (C,).

    Raises:
        ValueError: an argument out of range; an input of another shape; a training batch with one value a channel.

    Example:
        >>> nn.BatchNorm2d(16, momentum=0.05)
        BatchNorm2d(16, momentum=0.05)
    """

    lengths = (("height", "width"),)
