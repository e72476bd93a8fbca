"""What convolutions and transposed convolutions share: windows over the last dimensions of channels."""

from typing import ClassVar

from ..program import Tensor
from .module import Module


class WindowLayer(Module):
    """Base of layers whose window slides over the last `spatial` dimensions of (N, in_channels, ...)."""

    spatial: ClassVar[int]
    in_channels: int
    out_channels: int
    groups: int

    def set_channels(self, in_channels: int, out_channels: int, groups: int) -> None:
        """Check the channels and the groups, and keep them."""
        self.in_channels = self.positive_int("in_channels", in_channels)
        self.out_channels = self.positive_int("out_channels", out_channels)
        self.groups = self.positive_int("groups", groups)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(
                    f"{type(self).__name__}: groups is {self.groups}, expected a divisor of {name} {channels}"
                )

    def expect_channels(self, x: Tensor) -> None:
        """Check the shape of the input."""
        if len(x.shape) != self.spatial + 2 or x.shape[1] != self.in_channels:
            given = f"(batch, {', '.join(map(str, x.shape[1:]))})"
            sizes = "length" if self.spatial == 1 else "height, width"
            raise ValueError(
                f"{self!r}: the input has shape {given}, expected (batch, {self.in_channels}, {sizes})"
            )

    @staticmethod
    def height_and_width(sizes: tuple[int, ...], of_sequences: int) -> tuple[int, int]:
        """The two sizes of a window; a sequence is an image of height 1, for which `of_sequences` stands."""
        height, width = (of_sequences, *sizes)[-2:]
        return height, width
