"""Convolutions of sequences and images: Conv1d, Conv2d."""

from typing import Any

from ..checks import is_name
from ..ops import conv2d_forward
from ..program import Builder, Tensor
from ..program.channels import channels_last
from .initial_weights import INIT, InitName
from .padding import PADDING_MODES, padded_images
from .window import ChannelsToChannels


class Convolution(ChannelsToChannels):
    """Base of the convolutions below: a window of weights slides over the last `spatial` dimensions."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        init: InitName = "torch",
    ) -> None:
        super().__init__()
        self.set_channels(in_channels, out_channels, groups)
        self.kernel_size = self.sizes("kernel_size", kernel_size, self.spatial)
        self.stride = self.sizes("stride", stride, self.spatial)
        self.dilation = self.sizes("dilation", dilation, self.spatial)
        self.padding_mode = self.one_of("padding_mode", padding_mode, PADDING_MODES)
        self.padding = self._checked_padding(padding)
        self.init = self.one_of("init", init, INIT)
        shown = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        height, width = (1, *self.kernel_size)[-2:]
        fan_in = self.in_channels // self.groups * height * width
        stored = (height, width, shown[1], self.out_channels)
        self.parameter("weight", stored, INIT[init].weight, fan_in=fan_in, axes=(3, 2, 0, 1), shown=shown)
        if self.flag("bias", bias):
            self.parameter("bias", (self.out_channels,), INIT[init].bias, fan_in=fan_in)

    def _checked_padding(self, padding: Any) -> tuple[int, ...] | str:
        if isinstance(padding, str):
            if not is_name(padding, ("same", "valid")):
                raise ValueError(
                    f"{type(self).__name__}: padding is {padding!r}, expected integers, 'same' or 'valid'"
                )
            if padding == "same" and set(self.stride) != {1}:
                raise ValueError(
                    f"{type(self).__name__}: padding is 'same', but stride is {self.stride}, expected 1"
                )
            return padding
        return self.sizes("padding", padding, self.spatial, least=0)

    @property
    def margins(self) -> tuple[tuple[int, int], ...]:
        """How much is added before and behind each dimension; of an odd sum "same" has more behind."""
        if self.padding == "valid":
            return ((0, 0),) * self.spatial
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)
        return tuple((int(size), int(size)) for size in self.padding)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return self.convolved(builder, x, self.tensor("weight"), self.tensor("bias"))

    def convolved(self, builder: Builder, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """The output for x and weights (height, width, in, out)."""
        self.expect_channels(x)
        padded = self.padding_mode != "zeros" and any(map(any, self.margins))
        lengths = self.lengths(builder, x, f"padding_mode {self.padding_mode!r}" if padded else "")
        if lengths is not None:
            from ..program.masks import filled_behind  # here: `import backpass` is to be quick

            x = filled_behind(builder, x, lengths, 0.0)
        images, margins = channels_last(builder, x), ((0, 0), *self.margins)[-2:]
        if self.padding_mode != "zeros":
            images = padded_images(builder, images, margins, self.padding_mode, repr(self))
            margins = ((0, 0), (0, 0))
        (top, bottom), (left, right) = margins
        y = self.on_images(
            builder, images, len(x.shape), conv2d_forward, weight=weight, bias=bias, top=top, bottom=bottom,
            left=left, right=right, groups=self.groups, **self.by_side(stride=(1, *self.stride), dilation=(1, *self.dilation)),
        )  # fmt: skip
        if lengths is not None:
            added = sum(self.margins[-1]) - self.dilation[-1] * (self.kernel_size[-1] - 1) - 1
            self.tell_lengths(builder, x, y, added, self.stride[-1])
        return y


class Conv1d(Convolution):
    """Convolution of sequences (PyTorch's `nn.Conv1d`).

    y[n,o,t] = Σ x[n, c, t·stride + i·dilation - padding] weight[o,c,i] + bias[o], the sum over c and i.

    Args:
        in_channels: C of the input. out_channels: O of the output. Both at least 1.
        kernel_size: the width of the window. stride: its step, default 1. dilation: the distance of its taps, default 1.
        padding: zeros before and behind, default 0; "valid" is none, "same" keeps the length and needs stride 1.
        groups: parts of the channels that do not mix, default 1; in_channels makes it depthwise.
        bias: whether `bias` is learned, default True.
        padding_mode: "zeros" (default), "circular", "reflect" or "replicate": what stands in the padding.
        init: as of `nn.Linear`, default "torch": U(±1/√fan_in), fan_in = C / groups · kernel_size.

    Shapes: input (N, C, L), output (N, O, ⌊(L + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1); `weight`
    (O, C / groups, kernel_size), `bias` (O,).

    Raises:
        ValueError: an argument out of range; an input of another shape, or shorter than the window.

    Example:
        >>> nn.Conv1d(3, 16, 5, padding=2)
        Conv1d(3, 16, 5, padding=2)
    """

    spatial = 1


class Conv2d(Convolution):
    """Convolution of images (LeCun et al. 1989; PyTorch's `nn.Conv2d`).

    y[n,o,p,q] = Σ x[n, c, p·stride + i·dilation - padding, q·stride + j·dilation - padding] weight[o,c,i,j] + bias[o],
    the sum over c, i and j.

    Args:
        in_channels: C of the input. out_channels: O of the output. Both at least 1.
        kernel_size: height and width of the window: an integer for both, or a tuple; likewise stride, padding and dilation.
        stride: the step of the window, default 1. dilation: the distance of its taps, default 1.
        padding: zeros on each side, default 0; "valid" is none, "same" keeps the size and needs stride 1.
        groups: parts of the channels that do not mix, default 1; in_channels makes it depthwise.
        bias: whether `bias` is learned, default True.
        padding_mode: "zeros" (default), "circular", "reflect" or "replicate": what stands in the padding.
        init: as of `nn.Linear`, default "torch": U(±1/√fan_in), fan_in = C / groups · height · width.

    Shapes: input (N, C, H, W), output (N, O, P, Q); P = ⌊(H + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1, and
    Q likewise; `weight` (O, C / groups, height, width), `bias` (O,).

    Raises:
        ValueError: an argument out of range; an input of another shape, or smaller than the window.

    Example:
        >>> nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU())
        Sequential(Conv2d(1, 32, 3), ReLU())
    """

    spatial = 2
