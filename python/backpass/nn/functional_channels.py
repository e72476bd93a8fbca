"""Functions of `nn.functional` on channels: normalisation, dropout of whole channels, another size."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..ops import batch_norm_inference, batch_norm_track
from ..program import Tensor
from ..program.channels import from_planes, planes
from ..program.symbolic import SymbolicTensor, operand
from ..system.memory import aligned
from .batch_norm import by_batch
from .channel_dropout import without_channels
from .group_norm import grouped
from .upsample import check, resized


def _by_channel(name: str, what: str, x: SymbolicTensor, value: Any, shape: Sequence[int]) -> Tensor | None:
    """A weight, bias or statistic (C,) as a tensor of another shape."""
    if value is None:
        return None
    tensor = operand(x.builder, value)
    if not isinstance(tensor, Tensor) or tensor.shape != x.shape[1:2]:
        raise ValueError(f"{name}: {what} is {value!r:.60}, expected {x.shape[1:2]} for x of shape {x.shape}")
    return x.builder.reshape(tensor, shape)


def _expect_channels(name: str, x: SymbolicTensor, least: int = 2) -> None:
    if not least <= x.ndim <= 4:
        raise ValueError(f"{name}: x has shape {x.shape}, expected (N, C, ...) of {least} to 4 dimensions")


def batch_norm(
    x: SymbolicTensor,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> SymbolicTensor:
    """(x - mean) / √(var + eps) · weight + bias by channel: of the batch where training is True, else the running ones.

    With training=True, a training step moves running_mean and running_var, if these are buffers of the module.
    """
    _expect_channels("batch_norm", x)
    builder, tensor, shape = x.builder, x._number, x.shape[1:2]
    named = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    given = {name: _by_channel("batch_norm", name, x, value, shape) for name, value in named.items()}
    mean, var = given.pop("running_mean"), given.pop("running_var")
    if training or mean is None or var is None:
        count = x.shape[0] * prod(x.shape[2:])
        if count < 2:
            raise ValueError(f"batch_norm: x has shape {x.shape}, expected more than one value per channel")
        y, of_batch = by_batch(builder, "batch_norm", tensor, eps=float(eps), tracked=True, **given)
        if (
            builder.training
            and isinstance(running_mean, SymbolicTensor)
            and mean is not None
            and var is not None
        ):
            builder.keep(
                batch_norm_track, **of_batch, running_mean=mean.array, running_var=var.array,
                batches=aligned((1,), np.int64), count=count, momentum=float(momentum),
            )  # fmt: skip
        return x._next(y, keeps_rows=False) if not builder.training else x._next(y)
    if not builder.training:
        y = builder.emit(
            batch_norm_inference, x=planes(builder, tensor), weight=given["weight"], bias=given["bias"], eps=float(eps),
            running_mean=mean, running_var=var,
        )  # fmt: skip
        return x._next(from_planes(builder, y, tensor))
    # As an expression, which has a gradient.
    column = (-1, *[1] * (x.ndim - 2))
    parts = {
        name: x._of(part, 0).reshape(column)
        for name, part in (given | {"mean": mean, "var": var}).items()
        if part
    }
    out = (x - parts["mean"]) * (parts["var"] + eps).rsqrt()
    out = out * parts["weight"] if "weight" in parts else out
    return out + parts["bias"] if "bias" in parts else out


def group_norm(
    x: SymbolicTensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> SymbolicTensor:
    """(x - mean) / √(var + eps) · weight + bias, over the channels of each of num_groups groups at all places."""
    _expect_channels("group_norm", x)
    if num_groups < 1 or x.shape[1] % num_groups:
        raise ValueError(
            f"group_norm: num_groups is {num_groups!r}, expected a divisor of the {x.shape[1]} channels"
        )
    shape = num_groups, x.shape[1] // num_groups
    w, b = (_by_channel("group_norm", n, x, v, shape) for n, v in (("weight", weight), ("bias", bias)))
    return x._next(grouped(x.builder, "group_norm", x._number, num_groups, w, b, float(eps)))


def instance_norm(
    x: SymbolicTensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> SymbolicTensor:
    """(x - mean) / √(var + eps) · weight + bias, over the places of each channel of each sample."""
    _expect_channels("instance_norm", x, 3)
    for name, value in (("running_mean", running_mean), ("running_var", running_var)):
        if value is not None:
            raise ValueError(f"instance_norm: {name} is {value!r:.60}, expected None")
    if not use_input_stats:
        raise ValueError("instance_norm: use_input_stats is False, expected True")
    if x.builder.training and prod(x.shape[2:]) < 2:
        raise ValueError(f"instance_norm: x has shape {x.shape}, expected more than one value per channel")
    return group_norm(x, x.shape[1], weight, bias, eps)


def _dropout(name: str, x: SymbolicTensor, p: float, training: bool, dims: int) -> SymbolicTensor:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p is {p!r}, expected a number in [0, 1]")
    if x.ndim != dims:
        raise ValueError(f"{name}: x has shape {x.shape}, expected (N, C, ...) of {dims} dimensions")
    if not training or not x.builder.training or p == 0:
        return x
    return x._next(without_channels(x.builder, x._number, float(p)))


def dropout1d(
    x: SymbolicTensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> SymbolicTensor:
    """While training, whole channels of (N, C, L) at 0, each with probability p, the others divided by 1 - p."""
    return _dropout("dropout1d", x, p, training, 3)


def dropout2d(
    x: SymbolicTensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> SymbolicTensor:
    """While training, whole channels of (N, C, H, W) at 0, each with probability p, the others divided by 1 - p."""
    return _dropout("dropout2d", x, p, training, 4)


def interpolate(
    x: SymbolicTensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> SymbolicTensor:
    """(N, C, L) or (N, C, H, W) in another size: "nearest", "linear" or "bilinear"; nn.Upsample says where pixels lie."""
    check("interpolate", size, scale_factor, mode, align_corners)
    y = resized(x.builder, x._number, "interpolate", size, scale_factor, mode, align_corners)
    return x._next(y)
