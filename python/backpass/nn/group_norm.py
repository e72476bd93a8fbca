"""Group normalisation and instance normalisation: groups of channels to mean 0 and variance 1, in each sample."""

from math import prod
from typing import ClassVar

import numpy as np

from ..ops import group_norm_forward
from ..program import Builder, Tensor
from ..program.channels import from_rows_of_channels, rows_of_channels
from .initial_weights import ones, zeros
from .module import Module


def grouped(
    builder: Builder,
    layer: str,
    x: Tensor,
    groups: int,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Tensor:
    """(B, C, ...) normalised by groups of channels; weight and bias (G, C/G). layer: who asks, for errors."""
    from ..program.masks import STATISTICS, refuse_steps  # here: `import backpass` is to be quick

    refuse_steps(builder, layer, x, STATISTICS)
    batch, channels, length = *x.shape[:2], prod(x.shape[2:])
    rows = builder.reshape(rows_of_channels(builder, x), (batch, length, groups, channels // groups))
    y = builder.emit(group_norm_forward, x=rows, weight=weight, bias=bias, eps=eps)
    return from_rows_of_channels(builder, builder.reshape(y, (batch, length, channels)), x.shape)


class GroupNorm(Module):
    """Group normalisation: y = (x - mean) / √(var + eps) · weight + bias (Wu and He 2018; PyTorch's `nn.GroupNorm`).

    mean and var (biased) are those of the channels of a group at all places, in each sample.

    Args:
        num_groups: into how many groups of equal size the channels are divided, at least 1.
        num_channels: C of the input, a multiple of num_groups.
        eps: added to the variance, in [0, 1], default 1e-5.
        affine: whether to learn `weight` and `bias`, default True.

    Shapes: input and output (N, C), (N, C, L) or (N, C, H, W); `weight` and `bias` (C,).

    Raises:
        ValueError: an argument out of range; channels that groups do not divide; an input of another shape.

    Example:
        >>> nn.GroupNorm(4, 16)
        GroupNorm(4, 16)
    """

    weight: np.ndarray | None
    bias: np.ndarray | None

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.num_groups = self.positive_int("num_groups", num_groups)
        self.num_channels = self.positive_int("num_channels", num_channels)
        if self.num_channels % self.num_groups:
            raise ValueError(
                f"GroupNorm: num_channels is {num_channels}, expected a multiple of num_groups, {num_groups}"
            )
        self.eps = self.in_range("eps", eps, 0, 1)
        if self.flag("affine", affine):
            stored, shown = (self.num_groups, self.num_channels // self.num_groups), (self.num_channels,)
            self.parameter("weight", stored, ones, shown=shown)
            self.parameter("bias", stored, zeros, shown=shown)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if len(x.shape) not in (2, 3, 4) or x.shape[1] != self.num_channels:
            raise self.unfit(x, f"(batch, {self.num_channels}), or length, or height and width behind these")
        return grouped(
            builder, repr(self), x, self.num_groups, self.tensor("weight"), self.tensor("bias"), self.eps
        )


class InstanceNorm(Module):
    """What the layers share: they differ in the shapes that they take."""

    # What follows (batch, C), in words.
    lengths: ClassVar[tuple[str, ...]] = ()
    weight: np.ndarray | None
    bias: np.ndarray | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
    ) -> None:
        super().__init__()
        self.num_features = self.positive_int("num_features", num_features)
        self.eps = self.in_range("eps", eps, 0, 1)
        if momentum is not None:
            self.in_range("momentum", momentum, 0, 1)
        if self.flag("track_running_stats", track_running_stats):
            raise ValueError(
                f"{type(self).__name__}: track_running_stats is True, expected False: each sample has statistics of its own"
            )
        if self.flag("affine", affine):
            self.parameter("weight", (self.num_features, 1), ones, shown=(self.num_features,))
            self.parameter("bias", (self.num_features, 1), zeros, shown=(self.num_features,))

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if len(x.shape) != 2 + len(self.lengths) or x.shape[1] != self.num_features:
            raise self.unfit(x, f"(batch, {self.num_features}, {', '.join(self.lengths)})")
        if builder.training and prod(x.shape[2:]) < 2:
            raise ValueError(f"{self!r}: cannot train on images with one value per channel")
        return grouped(
            builder, repr(self), x, self.num_features, self.tensor("weight"), self.tensor("bias"), self.eps
        )


class InstanceNorm1d(InstanceNorm):
    """Instance normalisation of sequences: y = (x - mean) / √(var + eps) (Ulyanov et al. 2016; PyTorch's `nn.InstanceNorm1d`).

    mean and var (biased) are those of one channel of one sample, in training and inference alike.

    Args:
        num_features: C of the input, at least 1.
        eps: added to the variance, in [0, 1], default 1e-5.
        momentum: accepted for PyTorch's users, default 0.1; there are no running statistics.
        affine: whether to learn `weight` and `bias`, default False.
        track_running_stats: default False; True is refused.

    Shapes: input and output (N, C, L); `weight` and `bias` (C,).

    Raises:
        ValueError: an argument out of range; an input of another shape; training with one value a channel.

    Example:
        >>> nn.InstanceNorm1d(8, affine=True)
        InstanceNorm1d(8, affine=True)
    """

    lengths = ("length",)


class InstanceNorm2d(InstanceNorm):
    """Instance normalisation of images: y = (x - mean) / √(var + eps) (Ulyanov et al. 2016; PyTorch's `nn.InstanceNorm2d`).

    mean and var (biased) are those of one channel of one image, in training and inference alike.

    Args:
        num_features: C of the input, at least 1.
        eps: added to the variance, in [0, 1], default 1e-5.
        momentum: accepted for PyTorch's users, default 0.1; there are no running statistics.
        affine: whether to learn `weight` and `bias`, default False.
        track_running_stats: default False; True is refused.

    Shapes: input and output (N, C, H, W); `weight` and `bias` (C,).

    Raises:
        ValueError: an argument out of range; an input of another shape; training with one value a channel.

    Example:
        >>> nn.InstanceNorm2d(8)
        InstanceNorm2d(8)
    """

    lengths = ("height", "width")
