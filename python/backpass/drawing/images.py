"""Grids of small images as one mosaic, with the colours that signed and other numbers want."""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

# Pixels along the shorter side of a tile, at least: a gap between tiles is one of them.
LEAST_SIDE = 12
# Colours of numbers around 0, of numbers from 0 on, of an image.
SIGNED, POSITIVE, GREY = "RdBu_r", "viridis", "gray"


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Images of one size side by side, as one picture (H, W) or (H, W, 3); NaN lies between them.

    Attributes:
        rows, columns: how many images lie below and beside each other; count: how many there are in all.
        height, width, gap: of an image and around it, in pixels of the picture.
    """

    picture: np.ndarray
    rows: int
    columns: int
    count: int
    height: int
    width: int
    gap: int

    @classmethod
    def of(cls, images: np.ndarray, count: int = 0) -> "Mosaic":
        """Images (rows, columns, H, W) or (rows, columns, H, W, 3). count: of those that are there, default all."""
        rows, columns, height, width = images.shape[:4]
        factor = max(1, -(-LEAST_SIDE // min(height, width)))
        images = images.repeat(factor, 2).repeat(factor, 3)
        height, width, gap = factor * height, factor * width, max(1, factor * min(height, width) // 12)
        shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, *images.shape[4:])
        one = cls(np.full(shape, np.nan), rows, columns, count or rows * columns, height, width, gap)
        for number in range(one.count):
            left, top = one.corner(number)
            one.picture[top : top + height, left : left + width] = images[divmod(number, columns)]
        return one

    @classmethod
    def squared(cls, images: np.ndarray) -> "Mosaic":
        """Images (N, H, W) or (N, H, W, 3) in rows, about a square."""
        number, height, width = images.shape[:3]
        columns = min(number, max(1, round(float(np.sqrt(number * height / width)))))
        rows = -(-number // columns)
        out = np.zeros((rows * columns, *images.shape[1:]))
        out[:number] = images
        return cls.of(out.reshape(rows, columns, *images.shape[1:]), number)

    def corner(self, number: int) -> tuple[int, int]:
        """Left and top of an image."""
        row, column = divmod(number, self.columns)
        return column * (self.width + self.gap) + self.gap, row * (self.height + self.gap) + self.gap

    def centres(self, side: int, count: int) -> np.ndarray:
        """Along y (side 0) or x (1): the middle of each of `count` images, or of each pixel of one image."""
        size = (self.height, self.width)[side]
        if count == (self.rows, self.columns)[side]:
            return np.arange(count) * (size + self.gap) + self.gap + (size - 1) / 2
        return self.gap + (np.arange(count) + 0.5) * size / count - 0.5


def draw(axes: Any, mosaic: Mosaic, colours: str | None = None) -> Any:
    """A mosaic in the colours that its numbers want, or of colours from 0 to 1; returns what a colour bar reads.

    colours: default SIGNED, symmetric around 0, where any number is below 0, else POSITIVE.
    """
    from matplotlib import colormaps
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    corners = (mosaic.corner(number) for number in range(mosaic.count))
    size = mosaic.width, mosaic.height
    frames = [Rectangle((left - 0.5, top - 0.5), *size) for left, top in corners]
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor="0.6", linewidth=0.5))
    picture = mosaic.picture
    if picture.ndim == 3:
        return axes.imshow(np.where(np.isnan(picture), 1, picture), interpolation="nearest")
    low, high = limits(picture)
    if colours is None:
        colours = SIGNED if low < 0 else POSITIVE
    if colours == SIGNED:
        high = max(high, -low) or 1.0
        low = -high
    elif colours == POSITIVE:
        low, high = 0.0, high or 1.0
    scale = colormaps[colours].with_extremes(bad="white")
    return axes.imshow(picture, scale, vmin=low, vmax=high, interpolation="nearest")


def number_axis(axis: Any, label: str, places: np.ndarray) -> None:
    """A label, and numbers from 0 at these places: all, or each second, third, ..., so that they do not touch."""
    step = max(1, -(-len(places) // 16))
    axis.set_label_text(label)
    axis.set_ticks(places[::step], [str(i) for i in range(0, len(places), step)])
    axis.set_tick_params(length=0, labelsize="small")


def set_title(axes: Any, text: str, width: float) -> None:
    """A title, in lines that fit into a width in inches."""
    axes.set_title(textwrap.fill(text, max(20, int(13 * width)), break_long_words=False), fontsize="medium")


def limits(picture: np.ndarray) -> tuple[float, float]:
    """The least and the largest finite number."""
    finite = picture[np.isfinite(picture)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
