"""Images (B, P, H, W, C) cropped, rotated and changed in brightness and contrast at random: P planes of C channels."""

from typing import Any

import numpy as np

from .augment import DRAWN, below, words_of
from .contract import Dims, op

# Random places from (top, left) on, in and around an image; or one place, such as the centre.
CROP = DRAWN | {"top": [-2, 1, 0], "left": [-1, 0, 2], "down": [5, 1, 2], "right": [3, 1, 4]}
JITTER = DRAWN | {"brightness": [0.5, 2.0], "contrast": [0.0, 1.5]}
ROTATION = DRAWN | {"low": [-30.0, 100.0], "high": [30.0]}
# Of red, green and blue in the grey of an image (ITU-R 601).
GREY = (0.2989, 0.587, 0.114)


def _cropped(dims: Dims, scalars: Any) -> Dims:
    return {"I": scalars["height"], "J": scalars["width"]}


def _places(
    images: int, step: Any, top: int, left: int, down: int, right: int, seed: int, stream: int
) -> Any:
    """The row and the column of each image at which its crop begins."""
    words = words_of(images, step, seed, stream)
    return top + below(words[:, 0], down), left + below(words[:, 1], right)


def _shown(size: int, start: int, crop: int) -> tuple[slice, slice]:
    """The part of an image along one axis that a crop from `start` on shows, and where in the crop."""
    first, last = max(start, 0), max(min(start + crop, size), max(start, 0))
    return slice(first, last), slice(first - start, last - start)


@op(
    "x[B,P,H,W,C] step[1]:int64 -> y[B,P,I,J,C]",
    samples=CROP | {"height": [4, 9, 1], "width": [7, 1, 5]},
    sizes=_cropped,
)
def crop_images_forward(
    x, step, y, top: int, left: int, down: int, right: int, height: int, width: int, seed: int, stream: int
):
    """y = `height` x `width` pixels of each image from a random one of down x right places on, the first (top, left); around
    the image is 0."""
    y[...] = 0
    for image, row, column in zip(
        range(len(x)), *_places(len(x), step, top, left, down, right, seed, stream), strict=True
    ):
        rows, to_rows = _shown(x.shape[2], row, height)
        columns, to_columns = _shown(x.shape[3], column, width)
        y[image, :, to_rows, to_columns] = x[image, :, rows, columns]


@op("step[1]:int64 dy[B,P,I,J,C] -> dx[B,P,H,W,C]", samples=CROP)
def crop_images_backward(step, dy, dx, top: int, left: int, down: int, right: int, seed: int, stream: int):
    """Each dy goes to the pixel that was shown there; pixels that were not shown get 0."""
    dx[...] = 0
    for image, row, column in zip(
        range(len(dx)), *_places(len(dx), step, top, left, down, right, seed, stream), strict=True
    ):
        rows, from_rows = _shown(dx.shape[2], row, dy.shape[2])
        columns, from_columns = _shown(dx.shape[3], column, dy.shape[3])
        dx[image, :, rows, columns] = dy[image, :, from_rows, from_columns]


def _factors(shape: Any, step: Any, brightness: float, contrast: float, seed: int, stream: int) -> Any:
    """Of each image: the factor of its pixels, that of its mean grey; and the weight of each channel in that, (P, C)."""
    words = words_of(shape[0], step, seed, stream) * 2.0**-32
    b, c = (
        max(0.0, 1 - most) + (1 + most - max(0.0, 1 - most)) * words[:, k]
        for k, most in enumerate((brightness, contrast))
    )
    channels = shape[1] * shape[4]
    grey = np.array(GREY) if channels == 3 else np.full(channels, 1 / max(channels, 1))
    return b * c, b * (1 - c), grey.reshape(shape[1], shape[4]) / max(shape[2] * shape[3], 1)


def _sums(x: np.ndarray, weight: np.ndarray) -> Any:
    """Σ weight x of each image, each pixel on its own: one order of the sum for both orders of memory."""
    channels = (
        x.astype(np.float64).transpose(1, 4, 0, 2, 3).reshape(weight.size, len(x), x.shape[2] * x.shape[3])
    )
    return sum(
        (w * channel for w, channel in zip(weight.flat, channels, strict=True)), np.zeros(channels.shape[1:])
    ).sum(1)


@op("x[B,P,H,W,C] step[1]:int64 -> y[B,P,H,W,C]", samples=JITTER)
def jitter_images_forward(x, step, y, brightness: float, contrast: float, seed: int, stream: int):
    """y = b (c x + (1 - c) mean), mean that of the grey image; b and c of each image uniform in [max(0, 1 - most), 1 + most],
    where most is `brightness`, or `contrast`."""
    scale, share, grey = _factors(x.shape, step, brightness, contrast, seed, stream)
    mean = _sums(x, grey)
    y[...] = scale.reshape(-1, 1, 1, 1, 1) * x + (share * mean).reshape(-1, 1, 1, 1, 1)


@op("step[1]:int64 dy[B,P,H,W,C] -> dx[B,P,H,W,C]", samples=JITTER)
def jitter_images_backward(step, dy, dx, brightness: float, contrast: float, seed: int, stream: int):
    """dx = b (c dy + (1 - c) grey Σ dy), grey the share of a pixel in the mean."""
    scale, share, grey = _factors(dy.shape, step, brightness, contrast, seed, stream)
    total = share * _sums(dy, np.ones_like(grey))
    dx[...] = scale.reshape(-1, 1, 1, 1, 1) * dy + total.reshape(-1, 1, 1, 1, 1) * grey[:, None, None, :]


def _corners(shape: Any, step: Any, low: float, high: float, seed: int, stream: int) -> Any:
    """The four pixels that each pixel of a rotated image lies between: their rows, columns and weights, (B, H, W) each."""
    height, width = shape[2:4]
    words = words_of(shape[0], step, seed, stream)[:, 0].reshape(-1, 1, 1)
    angle = np.deg2rad(low + (high - low) * (words * 2.0**-32))
    middle, centre = (height - 1) / 2, (width - 1) / 2
    v, u = (np.arange(height) - middle)[:, None], np.arange(width) - centre
    row = middle + np.sin(angle) * u + np.cos(angle) * v
    column = centre + np.cos(angle) * u - np.sin(angle) * v
    top, left = np.floor(row), np.floor(column)
    for i in (0, 1):
        for j in (0, 1):
            weight = np.abs(1 - i - (row - top)) * np.abs(1 - j - (column - left))
            there, across = (top + i).astype(np.int64), (left + j).astype(np.int64)
            inside = (there >= 0) & (there < height) & (across >= 0) & (across < width)
            yield np.where(inside, there, 0), np.where(inside, across, 0), np.where(inside, weight, 0.0)


@op("x[B,P,H,W,C] step[1]:int64 -> y[B,P,H,W,C]", samples=ROTATION)
def rotate_images_forward(x, step, y, low: float, high: float, seed: int, stream: int):
    """y = each image rotated counter-clockwise around its centre by a random angle of `low` to `high` degrees, bilinear; around
    the image is 0."""
    y[...] = 0
    image = np.arange(len(x))[:, None, None]
    for row, column, weight in _corners(x.shape, step, low, high, seed, stream) if x.size else ():
        corner = x.transpose(0, 2, 3, 1, 4)[image, row, column] * weight[..., None, None].astype(x.dtype)
        y += corner.transpose(0, 3, 1, 2, 4)


@op("step[1]:int64 dy[B,P,H,W,C] -> dx[B,P,H,W,C]", samples=ROTATION)
def rotate_images_backward(step, dy, dx, low: float, high: float, seed: int, stream: int):
    """Each dy goes to the four pixels between which it lay, by their weights."""
    dx[...] = 0
    into, image = dx.transpose(0, 2, 3, 1, 4), np.arange(len(dx))[:, None, None]
    for row, column, weight in _corners(dy.shape, step, low, high, seed, stream) if dy.size else ():
        part = dy.transpose(0, 2, 3, 1, 4) * weight[..., None, None].astype(dy.dtype)
        np.add.at(into, (image, row, column), part)
