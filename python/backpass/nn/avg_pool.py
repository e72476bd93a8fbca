"""Average pooling: AvgPool1d, AvgPool2d."""

from ..checks import is_whole
from ..ops import avg_pool2d_forward
from ..program import Builder, Tensor
from .pooling import SlidingPooling


class AvgPooling(SlidingPooling):
    """Base of the layers below."""

    count_include_pad: bool
    # 0: the size of the window.
    divisor = 0

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self.expect_images(x)
        counted = {"count_include_pad": self.count_include_pad, "divisor_override": self.divisor}
        whole = self.count_include_pad or not any(self.padding)
        return self.pooled_rows(
            builder,
            x,
            avg_pool2d_forward,
            0.0,
            "" if whole else "count_include_pad=False",
            **self.window(),
            **counted,
        )


class AvgPool1d(AvgPooling):
    """Average pooling of sequences: y[n,c,t] = Σ_i x[n, c, t·stride + i - padding] / kernel_size (PyTorch's `nn.AvgPool1d`).

    Args:
        kernel_size: the width of the window. stride: its step, default None: kernel_size.
        padding: zeros before and behind, at most half of kernel_size, default 0.
        ceil_mode: whether a last window may reach beyond the padded input, default False; it is divided by its part within.
        count_include_pad: whether places of the padding count in the divisor, default True.

    Shapes: input (N, C, L), output (N, C, ⌊(L + 2·padding - kernel_size) / stride⌋ + 1), with ceil_mode ⌈⌉.

    Raises:
        ValueError: an argument out of range; an input of another shape, or shorter than the window.

    Example:
        >>> nn.AvgPool1d(3, stride=1, padding=1)
        AvgPool1d(3, stride=1, padding=1)
    """

    spatial = 1

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.set_window(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = self.flag("count_include_pad", count_include_pad)


class AvgPool2d(AvgPooling):
    """Average pooling of images: the mean of each window, channel by channel (PyTorch's `nn.AvgPool2d`).

    y[n,c,p,q] = Σ x[n, c, p·stride + i - padding, q·stride + j - padding] / divisor, over i and j.

    Args:
        kernel_size: height and width of the window: an integer for both, or a tuple; likewise stride and padding.
        stride: the step of the window, default None: kernel_size.
        padding: zeros on each side, at most half of kernel_size, default 0.
        ceil_mode: whether the last windows may reach beyond the padded image, default False: divided by their part within.
        count_include_pad: whether places of the padding count in the divisor, default True.
        divisor_override: an integer other than 0 to divide every sum by, default None.

    Shapes: input (N, C, H, W), output (N, C, P, Q); P = ⌊(H + 2·padding - kernel_size) / stride⌋ + 1, with ceil_mode ⌈⌉, and Q
    likewise.

    Raises:
        ValueError: an argument out of range; an input of another shape, or smaller than the window.

    Example:
        >>> nn.AvgPool2d(2)
        AvgPool2d(2)
    """

    spatial = 2

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.set_window(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = self.flag("count_include_pad", count_include_pad)
        if divisor_override is not None:
            if not is_whole(divisor_override) or not 0 < abs(divisor_override) < 2**31:
                raise ValueError(
                    f"AvgPool2d: divisor_override is {divisor_override!r}, expected None or an integer other than 0"
                )
            self.divisor = int(divisor_override)
