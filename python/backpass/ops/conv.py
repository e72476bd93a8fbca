"""Convolution of images with their channels last (LeCun et al. 1989): a cross-correlation, as in PyTorch.

A sequence is an image of height 1. `top`, `left`, `bottom` and `right` are the zeros around an image. `groups` cuts the channels
of x and y into as many parts that do not mix.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .contract import Dims, op
from .formulas import ACTIVATIONS
from .linear import finish
from .window import places

# Sizes and scalars for tests: every option, tails of vectors, one image and several, kernels as large as the image.
KEYS = ("B", "H", "W", "C", "KH", "KW", "O", "groups", "stride_h", "stride_w", "dilation_h", "dilation_w")
CASES: list[Dims] = [
    dict(zip((*KEYS, "top", "left", "bottom", "right"), case, strict=True))
    for case in [
        (2, 5, 4, 3, 3, 2, 4, 1, 1, 1, 1, 1, 0, 0, 0, 0),
        (2, 4, 5, 2, 3, 3, 3, 1, 2, 1, 1, 1, 1, 1, 1, 1),
        (1, 5, 5, 4, 3, 2, 6, 2, 1, 2, 1, 2, 2, 0, 1, 2),
        (2, 1, 9, 3, 1, 4, 2, 1, 1, 3, 1, 2, 0, 3, 0, 2),
        (2, 5, 4, 4, 2, 3, 4, 4, 1, 1, 1, 1, 1, 1, 0, 1),
        (1, 6, 6, 3, 2, 2, 6, 3, 3, 3, 1, 1, 0, 0, 0, 0),
        (3, 4, 4, 5, 1, 1, 7, 1, 1, 1, 1, 1, 0, 0, 0, 0),
        (1, 7, 6, 2, 3, 3, 2, 1, 2, 3, 2, 2, 2, 2, 2, 2),
        (0, 5, 5, 3, 3, 3, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1),
        (3, 9, 17, 1, 5, 5, 6, 1, 1, 1, 1, 1, 2, 2, 2, 2),
        (2, 8, 33, 16, 3, 3, 33, 1, 1, 1, 1, 1, 1, 1, 1, 1),
        (9, 7, 15, 31, 3, 3, 16, 1, 1, 1, 1, 1, 0, 0, 0, 0),
        (2, 16, 16, 17, 3, 3, 31, 1, 2, 2, 1, 1, 1, 1, 1, 1),
        (2, 1, 65, 33, 1, 5, 64, 1, 1, 1, 1, 1, 0, 2, 0, 2),
        (2, 6, 7, 34, 3, 3, 34, 34, 1, 1, 1, 1, 1, 1, 1, 1),
        (2, 9, 9, 34, 3, 3, 68, 34, 2, 2, 1, 1, 1, 1, 1, 1),
        (2, 9, 9, 40, 3, 3, 70, 2, 2, 1, 1, 2, 2, 3, 1, 0),
        (2, 5, 6, 300, 2, 2, 20, 1, 1, 1, 1, 1, 0, 0, 0, 0),
        (3, 8, 8, 64, 1, 1, 129, 1, 2, 2, 1, 1, 0, 0, 0, 0),
        (2, 5, 3, 3, 5, 3, 65, 1, 1, 1, 1, 1, 0, 0, 0, 0),
    ]
]  # fmt: skip
LARGE = dict(
    zip(
        (*KEYS, "top", "left", "bottom", "right"),
        (40, 9, 30, 12, 3, 3, 40, 1, 1, 1, 1, 1, 1, 1, 1, 1),
        strict=True,
    )
)
for case in [*CASES, LARGE]:
    case["D"] = case["C"] // case["groups"]
SAMPLES: dict[str, Any] = {"cases": CASES, "large": LARGE, "activation": [*ACTIVATIONS], "alpha": [0.7]}


def conv_sizes(dims: Dims, scalars: Mapping[str, Any]) -> Dims:
    """The height and width of a convolution's output; ValueError where kernel, groups and input do not fit."""
    groups, channels, outputs = scalars["groups"], dims["C"], dims["O"]
    checked_scalars("conv2d", scalars)
    if dims["D"] * groups != channels or outputs % groups:
        raise ValueError(
            f"conv2d: groups is {groups}, but the input has {channels} channels, weight {dims['D']} for {outputs}"
        )
    out = {}
    for letter, size, before, after in (("H", "height", "top", "bottom"), ("W", "width", "left", "right")):
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
    "x[B,H,W,C] weight[KH,KW,D,O] dy[B,P,Q,O] slope[B,H,W,C]? -> dx[B,H,W,C]? dweight[KH,KW,D,O]? dbias[O]?",
    samples=SAMPLES,
    sizes=conv_sizes,
    activates=True,
)
def conv2d_backward(
    x, weight, dy, slope, dx, dweight, dbias, activation: str = "identity", alpha: float = 0.0, stride_h: int = 1,
    stride_w: int = 1, top: int = 0, left: int = 0, bottom: int = 0, right: int = 0, dilation_h: int = 1, dilation_w: int = 1,
    groups: int = 1,
):  # fmt: skip
    """dweight[i,j] = Σ xᵀ dy, dbias = Σ dy, dx = (Σ dy weight[i,j]ᵀ) f'(z), where x = f(z), over the places that a tap reads.

    f'(z) is read from `slope` where that is given, else computed from x.
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
