"""What layers share whose window slides over sequences and images: the way to an op on images, the checks of channels."""

from collections.abc import Iterable
from typing import Any, ClassVar

from ..ops import Op
from ..program import Builder, Tensor
from ..program.channels import channels_first
from .module import Module

PLACES = {1: "length", 2: "height, width"}


class WindowLayer(Module):
    """Base of convolutions and pooling: a window slides over the last `spatial` dimensions of (N, C, L) or (N, C, H, W)."""

    spatial: ClassVar[int]

    def on_images(
        self, builder: Builder, images: Tensor, ndim: int, op: Op, want: Iterable[str] = (), **arguments: Any
    ) -> Tensor:
        """Emit an op on images (B, H, W, C); gives (N, C, ...) of `ndim` dimensions. An error names this layer."""
        try:
            y = builder.emit(op, want=want, x=images, **arguments)
        except ValueError as error:
            raise ValueError(f"{self!r}: {error}") from None
        return channels_first(builder, y, ndim)

    def lengths(self, builder: Builder, x: Tensor, refused: str = "") -> Tensor | None:
        """The lengths of the rows of a sequence, where rows have some; refused: what does not go with them.

        ValueError names this layer, where it is not known what of its output lies behind the end of a row.
        """
        if builder.steps is None:
            return None
        from ..program.masks import lengths_of_places, refuse_steps  # here: `import backpass` is to be quick

        if len(x.shape) > 3:
            refuse_steps(builder, repr(self), x, "a window over steps and something else")
            return None
        found = lengths_of_places(builder, repr(self), x)
        if refused:
            refuse_steps(builder, repr(self), x, refused)
        return found

    def tell_lengths(self, builder: Builder, x: Tensor, y: Tensor, added: int, stride: int) -> None:
        """Tell what follows the lengths of the rows of y; added: places around a row of x, less those of a window."""
        if added != -1 or stride > 1:
            from ..program.masks import shorten

            shorten(builder, repr(self), (x.shape[2], y.shape[2]), added, stride)

    @staticmethod
    def by_side(**sizes: tuple[int, ...]) -> dict[str, Any]:
        """Two sizes of each as the scalars of an op, "name_h" and "name_w": of a sequence, those of an image of height 1."""
        return {
            f"{name}_{side}": size
            for name, each in sizes.items()
            for side, size in zip("hw", each[-2:], strict=True)
        }


class ChannelsToChannels(WindowLayer):
    """Base of convolutions: in_channels become out_channels, in `groups` that do not mix."""

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
            raise self.unfit(x, f"(batch, {self.in_channels}, {PLACES[self.spatial]})")
