"""Images cropped, rotated and changed in brightness and contrast at random: torchvision's transforms as layers."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..checks import real
from ..ops import Op, crop_images_forward, jitter_images_forward, rotate_images_forward
from ..program import Builder, Tensor
from .image_augmentation import ImageAugmentation

MOST_DEGREES = 1e6


class RandomCrop(ImageAugmentation):
    """Random crop: a part of each image at a random place while training, its centre in inference.

    Args:
        size: height and width of the result, an integer for both or a tuple.
        padding: rows and columns of 0 around the image, from which a crop may begin; an integer for both or a tuple; default 0.

    Shapes: input (N, C, H, W); output (N, C, *size).

    Raises:
        ValueError: an argument out of range; a padded image smaller than the crop; an input of other than four dimensions.

    Example:
        >>> nn.RandomCrop(32, padding=4)
        RandomCrop(32, padding=4)
    """

    op: ClassVar[Op] = crop_images_forward
    instead: ClassVar[Mapping[str, str]] = {
        "pad_if_needed": "give padding", "fill": "the padding is 0", "padding_mode": "the padding is 0",
    }  # fmt: skip

    def __init__(self, size: int | Sequence[int], padding: int | Sequence[int] = 0) -> None:
        super().__init__()
        self.size = self.sizes("size", size, 2)
        self.padding = self.sizes("padding", padding, 2, least=0)
        for name, each in (("size", self.size), ("padding", self.padding)):
            for pixels in each:
                self.checked_pixels(name, pixels)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self.check_images(x)
        spare = [
            pixels + 2 * around - crop
            for pixels, around, crop in zip(x.shape[2:], self.padding, self.size, strict=True)
        ]
        if min(spare) < 0:
            least = [crop - 2 * around for crop, around in zip(self.size, self.padding, strict=True)]
            raise ValueError(f"{self!r}: the images are {x.shape[2:]}, expected at least {tuple(least)}")
        if builder.training:
            top, left, places = -self.padding[0], -self.padding[1], [pixels + 1 for pixels in spare]
        else:  # rounded as in torchvision
            top, left = (
                round((pixels - crop) / 2) for pixels, crop in zip(x.shape[2:], self.size, strict=True)
            )
            places = [1, 1]
        scalars = {"top": top, "left": left, "down": places[0], "right": places[1]}
        scalars |= {"height": self.size[0], "width": self.size[1]}
        return self.changed(builder, x, scalars, builder.stream() if builder.training else 0)


class ColorJitter(ImageAugmentation):
    """Color jitter: each image gets another brightness and contrast while training: y = b (c x + (1 - c) mean).

    The factors b and c are uniform in [max(0, 1 - most), 1 + most], where most is `brightness` or `contrast`. The mean is that of
    the grey image, 0.2989 red + 0.587 green + 0.114 blue; of other than three channels, of all. Unlike torchvision, nothing is
    clipped to [0, 1], since the images may be normalised already.

    Args:
        brightness: at least 0, default 0.
        contrast: at least 0, default 0.

    Shapes: input and output (N, C, H, W).

    Raises:
        ValueError: an argument out of range; an input of other than four dimensions.

    Example:
        >>> nn.ColorJitter(brightness=0.2, contrast=0.2)
        ColorJitter(brightness=0.2, contrast=0.2)
    """

    op: ClassVar[Op] = jitter_images_forward
    instead: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("saturation", "hue"), "brightness and contrast are what it changes"
    )

    def __init__(self, brightness: float = 0, contrast: float = 0) -> None:
        super().__init__()
        self.brightness = self.in_range("brightness", brightness, 0, 1e6)
        self.contrast = self.in_range("contrast", contrast, 0, 1e6)

    def augmentation(self) -> dict[str, Any]:
        return {"brightness": self.brightness, "contrast": self.contrast}


class RandomRotation(ImageAugmentation):
    """Random rotation: each image is turned around its centre by a random angle while training, bilinear; what comes in is 0.

    Args:
        degrees: a number d for angles in [-d, d], or (low, high); positive angles turn counter-clockwise.

    Shapes: input and output (N, C, H, W).

    Raises:
        ValueError: degrees out of range; an input of other than four dimensions.

    Example:
        >>> nn.RandomRotation(10)
        RandomRotation(10)
    """

    op: ClassVar[Op] = rotate_images_forward
    instead: ClassVar[Mapping[str, str]] = {
        "interpolation": "it is bilinear", "expand": "the size stays", "center": "the centre of the image",
        "fill": "what comes in is 0",
    }  # fmt: skip

    def __init__(self, degrees: float | Sequence[float]) -> None:
        super().__init__()
        pair = degrees if isinstance(degrees, tuple | list) else (-real(degrees), degrees)
        angles = [real(angle) for angle in pair]
        if len(angles) != 2 or not -MOST_DEGREES <= angles[0] <= angles[1] <= MOST_DEGREES:
            raise ValueError(
                f"RandomRotation: degrees is {degrees!r}, expected a number of at least 0, or a pair (low, high)"
            )
        self.low, self.high = angles

    def augmentation(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high}
