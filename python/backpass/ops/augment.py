"""Augmentation: normal noise, and images moved, mirrored and cut at random."""

from typing import Any

import numpy as np

from .contract import constant, op
from .philox import draw

# erfinv(x) = x · a polynomial in w = -log(1 - x²): Giles, "Approximating the erfinv function" (2010), single precision
CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727,
    1.50140941,
)  # fmt: skip


TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406,
    2.83297682,
)  # fmt: skip


def normal(words: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A standard normal for every random word, by inversion of 23 of its bits: up to ± 5.2."""
    x = ((words >> np.uint32(9)).astype(dtype) + dtype.type(0.5)) * dtype.type(2**-22) - dtype.type(1)
    w = -np.log((1 - x) * (1 + x))
    centre = np.polyval(np.array(CENTRE, dtype), w - dtype.type(2.5))
    tail = np.polyval(np.array(TAIL, dtype), np.sqrt(w) - dtype.type(3))
    return np.asarray(dtype.type(2**0.5) * x * np.where(w < 5, centre, tail), dtype)


@op(
    "x[*] step[1]:int64 -> y[*]",
    samples={"std": [0.5], "seed": [2**40 + 7], "stream": [3], "step": constant(5)},
    alias_gradient={"x": "y"},
)
def gaussian_noise(x, step, y, std: float, seed: int, stream: int):
    """y = x + std · n, n standard normal: a function of seed, stream, step and element."""
    noise = normal(draw(x.size, int(step[0]), stream, seed), x.dtype)
    np.add(x, x.dtype.type(std) * noise.reshape(x.shape), out=y)


# Random words that each image has.
WORDS = 8
DRAWN = {"step": constant(5), "seed": [2**40 + 7], "stream": [3]}
SAMPLES = DRAWN | {"shift": [0, 2], "flip": [0.0, 0.5, 1.0], "cutout": [0, 3]}


def words_of(images: int, step: np.ndarray, seed: int, stream: int) -> np.ndarray:
    """The random words of each image, (images, 8)."""
    return draw(WORDS * images, int(step[0]), stream, seed).reshape(images, WORDS)


def below(words: np.ndarray, count: int) -> np.ndarray:
    """An integer from 0 to count - 1 for each word."""
    return (words.astype(np.uint64) * np.uint64(count) >> np.uint64(32)).astype(np.int64)


def _moved(
    shape: tuple[int, ...], step: np.ndarray, shift: int, flip: float, cutout: int, seed: int, stream: int
) -> Any:
    """For every pixel of the output (B, H, W) the row and column of the input it shows, and whether it shows any."""
    images, _, height, width, _ = shape
    words = words_of(images, step, seed, stream)[:, :, None, None]
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    top, left = below(words[:, 3], height) - cutout // 2, below(words[:, 4], width) - cutout // 2
    cut = (rows >= top) & (rows < top + cutout) & (columns >= left) & (columns < left + cutout)
    mirrored = words[:, 2].astype(np.uint64) < np.uint64(flip * 2**32)
    row = rows - (below(words[:, 0], 2 * shift + 1) - shift)
    column = np.where(mirrored, width - 1 - columns, columns) - (below(words[:, 1], 2 * shift + 1) - shift)
    shown = ~cut & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return np.broadcast_to(np.where(shown, row, 0), shown.shape), np.where(shown, column, 0), shown


# P planes of C channels: an image with the channels first has C planes of one channel, with the channels last one plane.
@op("x[B,P,H,W,C] step[1]:int64 -> y[B,P,H,W,C]", samples=SAMPLES)
def augment_images_forward(x, step, y, shift: int, flip: float, cutout: int, seed: int, stream: int):
    """Each image moved by up to `shift` pixels both ways, mirrored with probability `flip`, then a square of `cutout` pixels
    around a random one blanked. What comes from outside is 0."""
    if not x.size:
        return
    row, column, shown = _moved(x.shape, step, shift, flip, cutout, seed, stream)
    image = np.arange(len(x))[:, None, None]
    moved = x.transpose(0, 2, 3, 1, 4)[image, row, column]
    y[...] = np.where(shown[..., None, None], moved, 0).transpose(0, 3, 1, 2, 4)


@op("step[1]:int64 dy[B,P,H,W,C] -> dx[B,P,H,W,C]", samples=SAMPLES)
def augment_images_backward(step, dy, dx, shift: int, flip: float, cutout: int, seed: int, stream: int):
    """Each dy goes to the pixel that was shown there; pixels that were not shown get 0."""
    dx[...] = 0
    if not dy.size:
        return
    row, column, shown = _moved(dy.shape, step, shift, flip, cutout, seed, stream)
    image, i, j = np.nonzero(shown)
    dx[image, :, row[image, i, j], column[image, i, j]] = dy[image, :, i, j]
