"""Images shifted, mirrored and cut at random while training: layers that stand first in a network, no copy of the data."""

from typing import Any, ClassVar

from ..checks import is_whole
from ..ops import Op, augment_images_forward
from ..program import Builder, Tensor
from ..program.channels import in_planes
from .module import Module

MOST_PIXELS = 2**15


class ImageAugmentation(Module):
    """Base of the layers below: input (N, C, H, W), the identity unless training. The draw depends on seed, step and image."""

    # What changes the images.
    op: ClassVar[Op] = augment_images_forward

    def augmentation(self) -> dict[str, Any]:
        """The scalars of `op`."""
        raise TypeError(f"{type(self).__name__} has to define augmentation()")

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self.check_images(x)
        if not builder.training:
            return x
        return self.changed(builder, x, self.augmentation(), builder.stream())

    def changed(self, builder: Builder, x: Tensor, scalars: dict[str, Any], stream: int) -> Tensor:
        """The images as `op` gives them."""
        draw: dict[str, Any] = {"step": builder.step, "seed": builder.seed, "stream": stream}
        return in_planes(builder, lambda planes: builder.emit(self.op, x=planes, **draw, **scalars), x)

    def check_images(self, x: Tensor) -> None:
        """Check the dimensions of the input."""
        if len(x.shape) != 4:
            raise ValueError(f"{self!r}: the input has shape {x.shape}, expected (N, C, H, W)")

    def checked_pixels(self, name: str, value: Any) -> int:
        """Check a number of pixels given by the user."""
        if not is_whole(value) or not 0 <= value <= MOST_PIXELS:
            raise ValueError(
                f"{type(self).__name__}: {name} is {value!r}, expected an integer from 0 to {MOST_PIXELS}"
            )
        return int(value)


class RandomShift(ImageAugmentation):
    """Random shift: each image is moved by up to `pixels` rows and columns either way, while training; what comes in is 0.

    Args:
        pixels: an integer from 0 to 32768.

    Shapes: input and output (N, C, H, W).

    Raises:
        ValueError: pixels out of range; an input of other than four dimensions.

    Example:
        >>> nn.RandomShift(2)
        RandomShift(2)
    """

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = self.checked_pixels("pixels", pixels)

    def augmentation(self) -> dict[str, Any]:
        return {"shift": self.pixels, "flip": 0.0, "cutout": 0}


class RandomHorizontalFlip(ImageAugmentation):
    """Random horizontal flip: each image is mirrored left to right with probability p, while training.

    Args:
        p: in [0, 1], default 0.5.

    Shapes: input and output (N, C, H, W).

    Raises:
        ValueError: a p outside [0, 1]; an input of other than four dimensions.

    Example:
        >>> nn.RandomHorizontalFlip()
        RandomHorizontalFlip(p=0.5)
    """

    always_shown: ClassVar[tuple[str, ...]] = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = self.in_range("p", p, 0, 1)

    def augmentation(self) -> dict[str, Any]:
        return {"shift": 0, "flip": self.p, "cutout": 0}


class Cutout(ImageAugmentation):
    """Cutout: a square of size x size pixels around a random pixel becomes 0, while training (DeVries and Taylor 2017).

    The square is cut off at the edge of the image.

    Args:
        size: an integer from 0 to 32768.

    Shapes: input and output (N, C, H, W).

    Raises:
        ValueError: a size out of range; an input of other than four dimensions.

    Example:
        >>> nn.Cutout(8)
        Cutout(8)
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = self.checked_pixels("size", size)

    def augmentation(self) -> dict[str, Any]:
        return {"shift": 0, "flip": 0.0, "cutout": self.size}
