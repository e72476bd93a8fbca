"""Transposed convolution of images with their channels last: the gradient of a convolution as a layer (Zeiler et al. 2010).

A convolution with this weight turns y into x; `top` to `right` are its zeros. Where it would skip some of the last rows
and columns of y, `extra_h` and `extra_w` say how many there are.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .contract import Dims, op
from .conv import checked_scalars, conv2d_backward, conv2d_forward
from .conv_samples import TRANSPOSED_SAMPLES


def transposed_sizes(dims: Dims, scalars: Mapping[str, Any]) -> Dims:
    """Channels, height and width of the output; ValueError where nothing is left of it."""
    checked_scalars("conv_transpose2d", scalars)
    if dims["C"] % scalars["groups"]:
        raise ValueError(
            f"conv_transpose2d: groups is {scalars['groups']}, expected a divisor of {dims['C']} channels"
        )
    out = {"O": dims["D"] * scalars["groups"]}
    for letter, size, before, after in (("H", "height", "top", "bottom"), ("W", "width", "left", "right")):
        h = letter.lower()
        extent = scalars[f"dilation_{h}"] * (dims[f"K{letter}"] - 1) + 1
        whole = (dims[letter] - 1) * scalars[f"stride_{h}"] + extent + scalars[f"extra_{h}"]
        places = whole - scalars[before] - scalars[after]
        if places < 1:
            raise ValueError(f"padding leaves nothing: the output has {size} {whole} before it is cut")
        out["P" if letter == "H" else "Q"] = places
    return out


@op("x[B,H,W,C] weight[KH,KW,D,C] bias[O]? -> y[B,P,Q,O]", samples=TRANSPOSED_SAMPLES, sizes=transposed_sizes)
def conv_transpose2d_forward(
    x, weight, bias, y, stride_h: int = 1, stride_w: int = 1, top: int = 0, left: int = 0, bottom: int = 0, right: int = 0,
    dilation_h: int = 1, dilation_w: int = 1, groups: int = 1, extra_h: int = 0, extra_w: int = 0,
):  # fmt: skip
    """y = dx of conv2d_backward for dy = x, plus bias: what each x gives to all taps of the window, added up."""
    window = stride_h, stride_w, top, left, bottom, right, dilation_h, dilation_w, groups
    y[...] = 0
    conv2d_backward(y, weight, x, None, None, y, None, None, "identity", 0.0, *window)
    if bias is not None:
        y += bias


@op(
    "x[B,H,W,C] weight[KH,KW,D,C] dy[B,P,Q,O] -> dx[B,H,W,C]? dweight[KH,KW,D,C]? dbias[O]?",
    samples=TRANSPOSED_SAMPLES,
    sizes=transposed_sizes,
)
def conv_transpose2d_backward(
    x, weight, dy, dx, dweight, dbias, stride_h: int = 1, stride_w: int = 1, top: int = 0, left: int = 0, bottom: int = 0,
    right: int = 0, dilation_h: int = 1, dilation_w: int = 1, groups: int = 1, extra_h: int = 0, extra_w: int = 0,
):  # fmt: skip
    """dx = the convolution of dy, dweight as in conv2d_backward with x and dy exchanged, dbias = Σ dy."""
    window = stride_h, stride_w, top, left, bottom, right, dilation_h, dilation_w, groups
    if dx is not None:
        conv2d_forward(dy, weight, None, dx, None, "identity", 0.0, *window)
    if dweight is not None:
        conv2d_backward(dy, weight, x, None, None, None, dweight, None, "identity", 0.0, *window)
    if dbias is not None:
        np.sum(dy, axis=(0, 1, 2), out=dbias)
