"""Dropout: mask and product in one loop."""

import numpy as np

from ...ops.philox import LANES
from .compiler import Bound, flat, jit
from .philox import draw_chunk, keys


@jit
def _dropout_forward(x, step, y, mask, threshold, factor, stream, key0, key1):
    dtype = y.dtype.type
    kept, zero = dtype(factor), dtype(0)
    words = np.empty(4 * LANES, np.uint32)
    for start in range(0, x.size, words.size):
        draw_chunk(words, start // words.size, step[0], stream, key0, key1)
        for i in range(start, min(start + words.size, x.size)):
            mask[i] = kept if words[i - start] >= threshold else zero
            y[i] = x[i] * mask[i]


@jit
def _dropout_backward(mask, dy, dx):
    for i in range(dx.size):
        dx[i] = dy[i] * mask[i]


def dropout_forward(x, step, y, mask, p, seed, stream) -> Bound:
    threshold = int(min(p * 2**32, 2**32 - 1))
    factor = 1 / (1 - p) if p < 1 else 0.0
    return _dropout_forward, (flat(x), step, flat(y), flat(mask), threshold, factor, stream, *keys(seed))


def dropout_backward(mask, dy, dx) -> Bound:
    return _dropout_backward, (flat(mask), flat(dy), flat(dx))


@jit
def _channel_dropout_forward(x, step, y, mask, threshold, factor, stream, key0, key1):
    dtype = y.dtype.type
    kept, zero = dtype(factor), dtype(0)
    words = np.empty(4 * LANES, np.uint32)
    flat_mask = mask.reshape(-1)
    for start in range(0, flat_mask.size, words.size):
        draw_chunk(words, start // words.size, step[0], stream, key0, key1)
        for i in range(start, min(start + words.size, flat_mask.size)):
            flat_mask[i] = kept if words[i - start] >= threshold else zero
    _times_mask(x, mask, y)


@jit
def _times_mask(x, mask, y):
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            for c in range(x.shape[2]):
                y[b, i, c] = x[b, i, c] * mask[b, c]


def channel_dropout_forward(x, step, y, mask, p, seed, stream) -> Bound:
    threshold = int(min(p * 2**32, 2**32 - 1))
    factor = 1 / (1 - p) if p < 1 else 0.0
    return _channel_dropout_forward, (x, step, y, mask, threshold, factor, stream, *keys(seed))


def channel_dropout_backward(mask, dy, dx) -> Bound:
    return _times_mask, (dy, mask, dx)
