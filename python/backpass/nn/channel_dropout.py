"""Dropout of whole channels: neighbouring pixels are alike, and dropping single ones takes little away."""

from typing import ClassVar

from ..ops import channel_dropout_forward
from ..program import Builder, Tensor
from ..program.channels import from_rows_of_channels, rows_of_channels
from .dropout import Dropout


def without_channels(builder: Builder, x: Tensor, p: float) -> Tensor:
    """(B, C, ...) with whole channels at 0, each with probability p, the others divided by 1 - p."""
    y = builder.emit(
        channel_dropout_forward,
        x=rows_of_channels(builder, x),
        step=builder.step,
        p=p,
        seed=builder.seed,
        stream=builder.stream(),
    )
    return from_rows_of_channels(builder, y, x.shape)


class ChannelDropout(Dropout):
    """What the layers share: they differ in the shapes that they take."""

    # What follows (batch, C), in words.
    lengths: ClassVar[tuple[str, ...]] = ()

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if len(x.shape) != 2 + len(self.lengths):
            raise self.unfit(x, f"(batch, channels, {', '.join(self.lengths)})")
        if not builder.training or self.p == 0:
            return x
        return without_channels(builder, x, self.p)


class Dropout1d(ChannelDropout):
    """Dropout of whole channels of sequences, each with probability p while training (PyTorch's `nn.Dropout1d`).

    Channels that stay are divided by 1 - p; inference is the identity.

    Args:
        p: in [0, 1], default 0.5.
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output (N, C, L). What is dropped is a function of the model's seed and the step.

    Raises:
        ValueError: a p outside [0, 1]; an input of another shape.

    Example:
        >>> nn.Dropout1d(0.1)
        Dropout1d(p=0.1)
    """

    lengths = ("length",)


class Dropout2d(ChannelDropout):
    """Dropout of whole channels of images, each with probability p while training (PyTorch's `nn.Dropout2d`).

    The method of Tompson et al. 2015. Channels that stay are divided by 1 - p; inference is the identity.

    Args:
        p: in [0, 1], default 0.5.
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output (N, C, H, W). What is dropped is a function of the model's seed and the step.

    Raises:
        ValueError: a p outside [0, 1]; an input of another shape.

    Example:
        >>> nn.Dropout2d(0.1)
        Dropout2d(p=0.1)
    """

    lengths = ("height", "width")
