"""Transposed convolutions of sequences and images: ConvTranspose1d, ConvTranspose2d."""

from ..ops import conv_transpose2d_forward
from ..program import Builder, Tensor
from ..program.channels import channels_last
from .initial_weights import INIT, InitName
from .window import ChannelsToChannels


class TransposedConvolution(ChannelsToChannels):
    """Base of the transposed convolutions below."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        *,
        init: InitName = "torch",
    ) -> None:
        super().__init__()
        self.set_channels(in_channels, out_channels, groups)
        self.kernel_size = self.sizes("kernel_size", kernel_size, self.spatial)
        self.stride = self.sizes("stride", stride, self.spatial)
        self.padding = self.sizes("padding", padding, self.spatial, least=0)
        self.dilation = self.sizes("dilation", dilation, self.spatial)
        self.output_padding = self.sizes("output_padding", output_padding, self.spatial, least=0)
        for extra, s, d in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if extra >= max(s, d):
                raise ValueError(
                    f"{type(self).__name__}: output_padding is {output_padding!r}, expected less than stride or dilation"
                )
        self.one_of("padding_mode", padding_mode, ("zeros",))
        self.init = self.one_of("init", init, INIT)
        shown = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        height, width = (1, *self.kernel_size)[-2:]
        # PyTorch's fan_in is that of the convolution the other way.
        fan_in = shown[1] * height * width
        stored = (height, width, shown[1], self.in_channels)
        self.parameter("weight", stored, INIT[init].weight, fan_in=fan_in, axes=(3, 2, 0, 1), shown=shown)
        if self.flag("bias", bias):
            self.parameter("bias", (self.out_channels,), INIT[init].bias, fan_in=fan_in)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return self.convolved(builder, x, self.tensor("weight"), self.tensor("bias"))

    def convolved(self, builder: Builder, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """The output for x and weights (height, width, out, in)."""
        self.expect_channels(x)
        self.lengths(builder, x, "a transposed convolution")
        top, left = (0, *self.padding)[-2:]
        sizes = self.by_side(
            stride=(1, *self.stride), dilation=(1, *self.dilation), extra=(0, *self.output_padding)
        )
        return self.on_images(
            builder, channels_last(builder, x), len(x.shape), conv_transpose2d_forward, weight=weight, bias=bias,
            top=top, bottom=top, left=left, right=left, groups=self.groups, **sizes,
        )  # fmt: skip


class ConvTranspose1d(TransposedConvolution):
    """Transposed convolution of sequences (PyTorch's `nn.ConvTranspose1d`): the gradient of a convolution as a layer.

    Each x[n,c,t] gives x[n,c,t] · weight[c,o,i] to y[n, o, t·stride + i·dilation - padding]; y is the sum, plus bias[o].

    Args:
        in_channels: C of the input. out_channels: O of the output. Both at least 1.
        kernel_size: the width of the window. stride: the distance of what neighbouring inputs give, default 1.
        padding: what is cut off at each end, default 0. output_padding: what comes on top at the end, default 0.
        groups: parts of the channels that do not mix, default 1.
        bias: whether `bias` is learned, default True.
        dilation: the distance of the taps of the window, default 1.
        padding_mode: "zeros" (default), the only one.
        init: as of `nn.Linear`, default "torch": U(±1/√fan_in), fan_in = O / groups · kernel_size.

    Shapes: input (N, C, L), output (N, O, (L - 1)·stride - 2·padding + dilation·(kernel_size - 1) + output_padding + 1);
    `weight` (C, O / groups, kernel_size), `bias` (O,).

    Raises:
        ValueError: an argument out of range; an input of another shape; padding that leaves nothing.

    Example:
        >>> nn.ConvTranspose1d(8, 4, 4, stride=2, padding=1)
        ConvTranspose1d(8, 4, 4, stride=2, padding=1)
    """

    spatial = 1


class ConvTranspose2d(TransposedConvolution):
    """Transposed convolution of images (Zeiler et al. 2010; PyTorch's `nn.ConvTranspose2d`): a convolution's gradient as a layer.

    Each x[n,c,p,q] gives x[n,c,p,q] · weight[c,o,i,j] to the place (p·stride + i·dilation - padding, ...) of channel o; y is the
    sum, plus bias[o].

    Args:
        in_channels: C of the input. out_channels: O of the output. Both at least 1.
        kernel_size: height and width of the window: an integer for both, or a tuple; likewise all that follows with a size.
        stride: the distance of what neighbouring inputs give, default 1.
        padding: what is cut off on each side, default 0. output_padding: what comes on top below and right, default 0.
        groups: parts of the channels that do not mix, default 1.
        bias: whether `bias` is learned, default True.
        dilation: the distance of the taps of the window, default 1.
        padding_mode: "zeros" (default), the only one.
        init: as of `nn.Linear`, default "torch": U(±1/√fan_in), fan_in = O / groups · height · width.

    Shapes: input (N, C, H, W), output (N, O, P, Q); P = (H - 1)·stride - 2·padding + dilation·(height - 1) + output_padding + 1,
    and Q likewise; `weight` (C, O / groups, height, width), `bias` (O,).

    Raises:
        ValueError: an argument out of range; an input of another shape; padding that leaves nothing.

    Example:
        >>> nn.ConvTranspose2d(16, 3, 2, stride=2)
        ConvTranspose2d(16, 3, 2, stride=2)
    """

    spatial = 2
