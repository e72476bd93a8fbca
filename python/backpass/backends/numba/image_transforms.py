"""Images cropped, rotated and changed in brightness and contrast at random: one image after the other."""

import numpy as np

from ...ops.augment import WORDS
from ...ops.image_transforms import GREY
from ...ops.philox import LANES
from .compiler import Bound, jit
from .philox import draw_chunk, keys

PER_BLOCK = 4 * LANES // WORDS


@jit
def _words(words, image, step, stream, key0, key1):
    """Make sure that `words` are those of the block of this image; returns where its own begin."""
    if image % PER_BLOCK == 0:
        draw_chunk(words, image // PER_BLOCK, step, stream, key0, key1)
    return image % PER_BLOCK * WORDS


@jit
def _below(word, count):
    return np.int64(np.uint64(word) * np.uint64(count) >> np.uint64(32))


@jit
def _between(word, low, high):
    return low + (high - low) * (np.float64(word) * 2.0**-32)


@jit
def _crop(step, whole, crop, shown, top, left, down, right, stream, key0, key1):
    """shown: whether the crop is written from the whole image; else the whole from the crop."""
    words = np.empty(4 * LANES, np.uint32)
    if shown:
        crop[:] = 0
    else:
        whole[:] = 0
    for b in range(whole.shape[0]):
        at = _words(words, b, step[0], stream, key0, key1)
        first_row, first_column = top + _below(words[at], down), left + _below(words[at + 1], right)
        for p in range(whole.shape[1]):
            for i in range(max(0, -first_row), min(crop.shape[2], whole.shape[2] - first_row)):
                for j in range(max(0, -first_column), min(crop.shape[3], whole.shape[3] - first_column)):
                    for c in range(whole.shape[4]):
                        if shown:
                            crop[b, p, i, j, c] = whole[b, p, first_row + i, first_column + j, c]
                        else:
                            whole[b, p, first_row + i, first_column + j, c] = crop[b, p, i, j, c]


def crop_images_forward(x, step, y, top, left, down, right, height, width, seed, stream) -> Bound:
    return _crop, (step, x, y, True, top, left, down, right, stream, *keys(seed))


def crop_images_backward(step, dy, dx, top, left, down, right, seed, stream) -> Bound:
    return _crop, (step, dx, dy, False, top, left, down, right, stream, *keys(seed))


@jit
def _jitter(step, x, y, backward, brightness, contrast, grey, stream, key0, key1):
    words = np.empty(4 * LANES, np.uint32)
    number = y.dtype.type
    images, planes, height, width, channels = x.shape
    share = 1.0 / max(height * width, 1)
    for b in range(images):
        at = _words(words, b, step[0], stream, key0, key1)
        bright = _between(words[at], max(0.0, 1 - brightness), 1 + brightness)
        factor = _between(words[at + 1], max(0.0, 1 - contrast), 1 + contrast)
        total = 0.0
        # Each pixel on its own: one order of the sum for both orders of memory.
        for i in range(height):
            for j in range(width):
                pixel = 0.0
                for p in range(planes):
                    for c in range(channels):
                        pixel += x[b, p, i, j, c] * (1.0 if backward else grey[p * channels + c] * share)
                total += pixel
        scale, total = number(bright * factor), bright * (1 - factor) * total
        for p in range(planes):
            for i in range(height):
                for j in range(width):
                    for c in range(channels):
                        own = grey[p * channels + c] * share if backward else 1.0
                        y[b, p, i, j, c] = scale * x[b, p, i, j, c] + number(total * own)


def _bound(step, x, y, backward, brightness, contrast, seed, stream) -> Bound:
    channels = x.shape[1] * x.shape[4]
    grey = np.array(GREY) if channels == 3 else np.full(channels, 1 / max(channels, 1))
    arguments = (step, x, y, backward, float(brightness), float(contrast), grey, stream, *keys(seed))
    return _jitter, arguments


def jitter_images_forward(x, step, y, brightness, contrast, seed, stream) -> Bound:
    return _bound(step, x, y, False, brightness, contrast, seed, stream)


def jitter_images_backward(step, dy, dx, brightness, contrast, seed, stream) -> Bound:
    return _bound(step, dy, dx, True, brightness, contrast, seed, stream)


@jit
def _rotate(step, x, y, backward, low, high, stream, key0, key1):
    words = np.empty(4 * LANES, np.uint32)
    number = y.dtype.type
    images, planes, height, width, channels = x.shape
    middle, centre = (height - 1) / 2, (width - 1) / 2
    y[:] = 0
    for b in range(images):
        at = _words(words, b, step[0], stream, key0, key1)
        angle = _between(words[at], low, high) * np.pi / 180
        sine, cosine = np.sin(angle), np.cos(angle)
        for i in range(height):
            for j in range(width):
                row = middle + sine * (j - centre) + cosine * (i - middle)
                column = centre + cosine * (j - centre) - sine * (i - middle)
                top, left = np.floor(row), np.floor(column)
                for k in range(4):
                    r, s = np.int64(top) + k // 2, np.int64(left) + k % 2
                    if r < 0 or r >= height or s < 0 or s >= width:
                        continue
                    down = row - top if k // 2 else 1 - (row - top)
                    right = column - left if k % 2 else 1 - (column - left)
                    weight = number(down * right)
                    for p in range(planes):
                        for c in range(channels):
                            if backward:
                                y[b, p, r, s, c] += weight * x[b, p, i, j, c]
                            else:
                                y[b, p, i, j, c] += weight * x[b, p, r, s, c]


def rotate_images_forward(x, step, y, low, high, seed, stream) -> Bound:
    return _rotate, (step, x, y, False, float(low), float(high), stream, *keys(seed))


def rotate_images_backward(step, dy, dx, low, high, seed, stream) -> Bound:
    return _rotate, (step, dy, dx, True, float(low), float(high), stream, *keys(seed))
