"""Images shifted, mirrored and cut at random while training: layers that stand first in a network, no copy of the data."""

from typing import Any

import numpy as np

from ..checks import is_whole
from ..contract import constant, op
from ..program import Builder, Tensor
from ..random import draw
from .layer import Layer

WORDS = 8  # random words that each image has

SAMPLES = {
    "step": constant(5), "seed": [2**40 + 7], "stream": [3], "shift": [0, 2], "flip": [0.0, 0.5, 1.0], "cutout": [0, 3],
}  # fmt: skip


def _moved(
    shape: tuple[int, ...], step: np.ndarray, shift: int, flip: float, cutout: int, seed: int, stream: int
) -> Any:
    """For every pixel of the output (B, H, W) the row and column of the input it shows, and whether it shows any."""
    images, _, height, width = shape
    words = draw(WORDS * images, int(step[0]), stream, seed).reshape(images, WORDS, 1, 1).astype(np.uint64)

    def below(word: int, count: int) -> np.ndarray:
        return (words[:, word] * np.uint64(count) >> np.uint64(32)).astype(np.int64)

    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    top, left = below(3, height) - cutout // 2, below(4, width) - cutout // 2
    cut = (rows >= top) & (rows < top + cutout) & (columns >= left) & (columns < left + cutout)
    mirrored = words[:, 2] < np.uint64(flip * 2**32)
    row = rows - (below(0, 2 * shift + 1) - shift)
    column = np.where(mirrored, width - 1 - columns, columns) - (below(1, 2 * shift + 1) - shift)
    shown = ~cut & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return np.broadcast_to(np.where(shown, row, 0), shown.shape), np.where(shown, column, 0), shown


@op("x[B,C,H,W] step[1]:int64 -> y[B,C,H,W]", samples=SAMPLES)
def augment_images_forward(x, step, y, shift: int, flip: float, cutout: int, seed: int, stream: int):
    """Each image moved by up to `shift` pixels both ways, mirrored with probability `flip`, then a square of `cutout` pixels
    around a random one blanked. What comes from outside is 0."""
    if not x.size:
        return
    row, column, shown = _moved(x.shape, step, shift, flip, cutout, seed, stream)
    image = np.arange(len(x))[:, None, None]
    y[...] = np.where(shown[:, None], x.transpose(0, 2, 3, 1)[image, row, column].transpose(0, 3, 1, 2), 0)


@op("step[1]:int64 dy[B,C,H,W] -> dx[B,C,H,W]", samples=SAMPLES)
def augment_images_backward(step, dy, dx, shift: int, flip: float, cutout: int, seed: int, stream: int):
    """Each dy goes to the pixel that was shown there; pixels that were not shown get 0."""
    dx[...] = 0
    if not dy.size:
        return
    row, column, shown = _moved(dy.shape, step, shift, flip, cutout, seed, stream)
    image, i, j = np.nonzero(shown)
    dx[image, :, row[image, i, j], column[image, i, j]] = dy[image, :, i, j]


class ImageAugmentation(Layer):
    """Base of the layers below: input (N, C, H, W), the identity unless training. The draw depends on seed, step and image."""

    shift, flip, cutout = 0, 0.0, 0

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if len(x.shape) != 4:
            raise ValueError(f"{self!r}: the input has shape {x.shape}, expected (N, C, H, W)")
        if not builder.training:
            return x
        return builder.emit(
            "augment_images_forward",
            x=x,
            step=builder.step,
            shift=self.shift,
            flip=self.flip,
            cutout=self.cutout,
            seed=builder.seed,
            stream=builder.stream(),
        )

    def pixels(self, name: str, value: Any) -> int:
        """Check a number of pixels."""
        if not is_whole(value) or not 0 <= value <= 2**15:
            raise ValueError(
                f"{type(self).__name__}: {name} is {value!r}, expected an integer from 0 to {2**15}"
            )
        return int(value)


class RandomShift(ImageAugmentation):
    """Moves each image by up to `pixels` rows and columns either way; what comes in is 0."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.shift = self.pixels("pixels", pixels)

    def __repr__(self) -> str:
        return f"RandomShift(pixels={self.shift})"


class RandomHorizontalFlip(ImageAugmentation):
    """Mirrors each image left to right with probability p, default 0.5."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.flip = self.in_range("p", p, 0, 1)

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.flip})"


class Cutout(ImageAugmentation):
    """Blanks a square of `size` pixels around a random pixel of each image (DeVries and Taylor 2017), cut off at the edge."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.cutout = self.pixels("size", size)

    def __repr__(self) -> str:
        return f"Cutout(size={self.cutout})"
