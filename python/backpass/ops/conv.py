"""Convolution of images with their channels last (LeCun et al. 1989): a cross-correlation, as in PyTorch.

A sequence is an image of height 1. `top`, `left`, `bottom` and `right` are the zeros around an image. `groups` cuts the channels
of x and y into as many parts that do not mix.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .contract import Dims, op
from .conv_samples import SAMPLES
from .formulas import ACTIVATIONS
from .linear import finish
from .window import name_across, places


def conv_sizes(dims: Dims, scalars: Mapping[str, Any]) -> Dims:
    """The height and width of a convolution's output; ValueError where kernel, groups and input do not fit."""
    groups, channels, outputs = scalars["groups"], dims["C"], dims["O"]
    checked_scalars("conv2d", scalars)
    if dims["D"] * groups != channels or outputs % groups:
        raise ValueError(
            f"conv2d: groups is {groups}, but the input has {channels} channels, weight {dims['D']} for {outputs}"
        )
    out = {}
    across = name_across(dims["H"], dims["KH"])
    for letter, size, before, after in (("H", "height", "top", "bottom"), ("W", across, "left", "right")):
        h = letter.lower()
        out["P" if letter == "H" else "Q"] = places(
            size, dims[letter], dims[f"K{letter}"], scalars[f"stride_{h}"], scalars[before], scalars[after],
            scalars[f"dilation_{h}"],
        )  # fmt: skip
    return out


def checked_scalars(op_name: str, scalars: Mapping[str, Any]) -> None:
    """ValueError where steps or margins of a window are out of range."""
    for name in ("groups", "stride_h", "stride_w", "dilation_h", "dilation_w"):
        if scalars[name] < 1:
            raise ValueError(f"{op_name}: {name} is {scalars[name]}, expected at least 1")
    for name in ("top", "left", "bottom", "right"):
        if scalars[name] < 0:
            raise ValueError(f"{op_name}: {name} is {scalars[name]}, expected at least 0")


@op(
    "x[B,H,W,C] weight[KH,KW,D,O] bias[O]? -> y[B,P,Q,O] slope[B,P,Q,O]?",
    samples=SAMPLES,
    sizes=conv_sizes,
    activates=True,
)
def conv2d_forward(
    x, weight, bias, y, slope, activation: str = "identity", alpha: float = 0.0, stride_h: int = 1, stride_w: int = 1,
    top: int = 0, left: int = 0, bottom: int = 0, right: int = 0, dilation_h: int = 1, dilation_w: int = 1, groups: int = 1,
):  # fmt: skip
    """y[b,p,q,o] = f(Σ x[b, p stride + i dilation - top, q stride + j dilation - left, c] weight[i,j,c,o] + bias[o]).

    slope = f' there, as in linear_forward.
    """
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    for (xs, ws), ys in zip(_grouped(padded, weight, groups), np.split(y, groups, axis=3), strict=True):
        ys[...] = 0
        for (i, j), at in _taps(weight.shape, y.shape, stride_h, stride_w, dilation_h, dilation_w):
            ys += xs[at] @ ws[i, j]
    finish(y, bias, slope, activation, alpha)


@op(
    "x[B,H,W,C] weight[KH,KW,D,O] dy[B,P,Q,O] slope[B,H,W,C]? other[B,H,W,C]? -> dx[B,H,W,C]? dweight[KH,KW,D,O]? dbias[O]?",
    samples=SAMPLES,
    sizes=conv_sizes,
    activates=True,
)
def conv2d_backward(
    x, weight, dy, slope, other, dx, dweight, dbias, activation: str = "identity", alpha: float = 0.0, stride_h: int = 1,
    stride_w: int = 1, top: int = 0, left: int = 0, bottom: int = 0, right: int = 0, dilation_h: int = 1, dilation_w: int = 1,
    groups: int = 1,
):  # fmt: skip
    """dweight[i,j] = Σ xᵀ dy, dbias = Σ dy, dx = (Σ dy weight[i,j]ᵀ + other) f'(z) over the places that a tap reads.

    x = f(z). f'(z) is read from `slope` where that is given, else computed from x. other: the gradient that reaches x beside.
    """
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    flowing, slopes = np.zeros_like(padded), np.zeros_like(weight)
    grouped = zip(
        _grouped(padded, weight, groups),
        _grouped(flowing, slopes, groups),
        np.split(dy, groups, axis=3),
        strict=True,
    )
    for (xs, ws), (dxs, dws), dys in grouped:
        for (i, j), at in _taps(weight.shape, dy.shape, stride_h, stride_w, dilation_h, dilation_w):
            dws[i, j] = np.tensordot(xs[at], dys, axes=((0, 1, 2), (0, 1, 2)))
            dxs[at] += dys @ ws[i, j].T
    if dweight is not None:
        dweight[...] = slopes
    if dbias is not None:
        np.sum(dy, axis=(0, 1, 2), out=dbias)
    if dx is not None:
        dx[...] = flowing[:, top : top + x.shape[1], left : left + x.shape[2]]
        if other is not None:
            dx += other
        if slope is not None:
            dx *= slope
        elif activation != "identity":
            dx *= ACTIVATIONS[activation].slope(x, alpha)


def _grouped(x, weight, groups: int):
    """The channels and the weights of each group: views."""
    return zip(np.split(x, groups, axis=3), np.split(weight, groups, axis=3), strict=True)


def _taps(kernel, output, stride_h: int, stride_w: int, dilation_h: int, dilation_w: int):
    """Each place (i, j) of the kernel, and the index of what it reads of the padded image."""
    for i, j in np.ndindex(kernel[:2]):
        h, w = i * dilation_h, j * dilation_w
        yield (
            (i, j),
            (
                slice(None),
                slice(h, h + (output[1] - 1) * stride_h + 1, stride_h),
                slice(w, w + (output[2] - 1) * stride_w + 1, stride_w),
            ),
        )
