"""Average pooling of images with their channels last; a sequence is an image of height 1."""

from collections.abc import Sequence
from typing import Any

from .contract import Dims, op
from .formulas import ACTIVATIONS
from .pool_samples import ACTIVATED, ADAPTIVE_CASES, ADAPTIVE_LARGE, CASES, LARGE
from .window import Span, adaptive, adaptive_sizes, pooled_sizes, sliding, windows

_COUNTED = [
    {"count_include_pad": True, "divisor_override": 0},
    {"count_include_pad": False, "divisor_override": 0},
]
_COUNTED += [{"count_include_pad": True, "divisor_override": -3}]


def _without_dilation(case: Dims, number: int) -> Dims:
    return {k: v for k, v in case.items() if not k.startswith("dilation")} | _COUNTED[number % 3]


SAMPLES: dict[str, Any] = {
    "cases": [_without_dilation(case, n) for n, case in enumerate(CASES)],
    "large": _without_dilation(LARGE, 1),
    **ACTIVATED,
}
ADAPTIVE_SAMPLES: dict[str, Any] = {"cases": ADAPTIVE_CASES, "large": ADAPTIVE_LARGE, **ACTIVATED}


@op("x[B,H,W,C] -> y[B,P,Q,C]", samples=SAMPLES, sizes=pooled_sizes)
def avg_pool2d_forward(
    x, y, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, padding_h: int = 0, padding_w: int = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int = 0,
):  # fmt: skip
    """y = the sum of a window / divisor: divisor_override unless that is 0, else the places that the window covers.

    With count_include_pad these are all within the padded image, else those within the image.
    """
    down = sliding(x.shape[1], y.shape[1], kernel_h, stride_h, padding_h)
    across = sliding(x.shape[2], y.shape[2], kernel_w, stride_w, padding_w)
    _means(x, y, down, across, count_include_pad, divisor_override)


@op(
    "x[B,H,W,C] dy[B,P,Q,C] slope[B,H,W,C]? -> dx[B,H,W,C]",
    samples=SAMPLES,
    sizes=pooled_sizes,
    activates=True,
)
def avg_pool2d_backward(
    x, dy, slope, dx, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, padding_h: int = 0, padding_w: int = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int = 0, activation: str = "identity",
    alpha: float = 0.0,
):  # fmt: skip
    """dx = f'(z) Σ dy / divisor over the windows that cover a place, where x = f(z).

    f'(z) is read from `slope` where that is given, else computed from x.
    """
    down = sliding(x.shape[1], dy.shape[1], kernel_h, stride_h, padding_h)
    across = sliding(x.shape[2], dy.shape[2], kernel_w, stride_w, padding_w)
    _spread(dy, dx, down, across, count_include_pad, divisor_override)
    _activated(x, slope, dx, activation, alpha)


@op("x[B,H,W,C] -> y[B,P,Q,C]", samples=ADAPTIVE_SAMPLES, sizes=adaptive_sizes)
def adaptive_avg_pool2d_forward(x, y, output_h: int, output_w: int):
    """y = the mean of the rows ⌊pH/P⌋ ... ⌈(p+1)H/P⌉ and columns ⌊qW/Q⌋ ... ⌈(q+1)W/Q⌉."""
    _means(x, y, adaptive(x.shape[1], output_h), adaptive(x.shape[2], output_w))


@op("x[B,H,W,C] dy[B,P,Q,C] slope[B,H,W,C]? -> dx[B,H,W,C]", samples=ADAPTIVE_SAMPLES, activates=True)
def adaptive_avg_pool2d_backward(x, dy, slope, dx, activation: str = "identity", alpha: float = 0.0):
    """dx = f'(z) Σ dy / size over the windows that cover a place, as in avg_pool2d_backward."""
    _spread(dy, dx, adaptive(x.shape[1], dy.shape[1]), adaptive(x.shape[2], dy.shape[2]))
    _activated(x, slope, dx, activation, alpha)


def divisor(rows: Span, cols: Span, count_include_pad: bool = True, override: int = 0) -> int:
    """What the sum of a window is divided by; 1 where it covers nothing."""
    inside = (rows.last - rows.first) * (cols.last - cols.first)
    return override or (rows.length * cols.length if count_include_pad else inside) or 1


def _means(x, y, down: Sequence[Span], across: Sequence[Span], *counted: Any) -> None:
    for out, inside, rows, cols in windows(down, across):
        y[out] = x[inside].sum(axis=(1, 2)) / divisor(rows, cols, *counted)


def _spread(dy, dx, down: Sequence[Span], across: Sequence[Span], *counted: Any) -> None:
    dx[...] = 0
    for out, inside, rows, cols in windows(down, across):
        dx[inside] += (dy[out] / divisor(rows, cols, *counted))[:, None, None]


def _activated(x, slope, dx, activation: str, alpha: float) -> None:
    if slope is not None:
        dx *= slope
    elif activation != "identity":
        dx *= ACTIVATIONS[activation].slope(x, alpha)
