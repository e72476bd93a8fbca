"""Maximum pooling: MaxPool1d, MaxPool2d."""

from typing import Any

import numpy as np

from ..ops import adaptive_max_pool2d_forward, max_pool2d_forward
from ..program import Builder, Tensor
from .pooling import SlidingPooling

# An op notes the place of a maximum within its window in a byte.
MOST_TAPS = 256


class MaxPooling(SlidingPooling):
    """Base of the layers below."""

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.set_window(kernel_size, stride, padding, ceil_mode)
        self.dilation = self.sizes("dilation", dilation, self.spatial)
        self.refuse_indices(return_indices)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self.expect_images(x)
        if self.kernel_size == x.shape[2:] and self._is_plain() and builder.steps is None:
            return self.pooled(builder, x, adaptive_max_pool2d_forward, output_h=1, output_w=1)
        window: dict[str, Any] = self.window() | self.by_side(dilation=(1, *self.dilation))
        if window["kernel_h"] * window["kernel_w"] > MOST_TAPS:
            raise ValueError(
                f"{self!r}: kernel_size is {self.kernel_size}, expected a window of at most {MOST_TAPS} places, or one as large"
                f" as the input {x.shape[2:]}"
            )
        return self.pooled_rows(builder, x, max_pool2d_forward, -np.inf, **window)

    def _is_plain(self) -> bool:
        return {*self.padding} == {0} and {*self.dilation} == {1}


class MaxPool1d(MaxPooling):
    """Maximum pooling of sequences: y[n,c,t] = max_i x[n, c, t·stride + i·dilation - padding] (PyTorch's `nn.MaxPool1d`).

    Of equal numbers the first one gets the gradient. A NaN in the window is its maximum.

    Args:
        kernel_size: the width of the window. stride: its step, default None: kernel_size.
        padding: places of -∞ before and behind, at most half of kernel_size, default 0.
        dilation: the distance of the places of a window, default 1.
        return_indices: default False; True is refused.
        ceil_mode: whether a last window may reach beyond the input, default False.

    Shapes: input (N, C, L), output (N, C, ⌊(L + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1), with ceil_mode ⌈⌉.

    Raises:
        ValueError: an argument out of range; an input of another shape, or shorter than the window.

    Example:
        >>> nn.MaxPool1d(2)
        MaxPool1d(2)
    """

    spatial = 1


class MaxPool2d(MaxPooling):
    """Maximum pooling of images: the largest number of each window, channel by channel (PyTorch's `nn.MaxPool2d`).

    y[n,c,p,q] = max x[n, c, p·stride + i·dilation - padding, q·stride + j·dilation - padding], over i and j. Of equal numbers the
    first one in row-major order gets the gradient. A NaN in the window is its maximum.

    Args:
        kernel_size: height and width of the window: an integer for both, or a tuple; likewise stride, padding and dilation.
        stride: the step of the window, default None: kernel_size.
        padding: places of -∞ on each side, at most half of kernel_size, default 0.
        dilation: the distance of the places of a window, default 1.
        return_indices: default False; True is refused.
        ceil_mode: whether the last windows may reach beyond the input, default False.

    Shapes: input (N, C, H, W), output (N, C, P, Q); P = ⌊(H + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1, with
    ceil_mode ⌈⌉, and Q likewise.

    Raises:
        ValueError: an argument out of range; an input of another shape, or smaller than the window.

    Example:
        >>> nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, stride=2))
        Sequential(ReLU(), MaxPool2d(3, stride=2))
    """

    spatial = 2
