"""What is drawn at random while training, bit for bit as random.py draws it: dropout and the order of the rows."""

import numpy as np

from ...random import LANES, SHUFFLE_STREAM
from .compiler import Bound, flat, jit

OPS = ("dropout_forward", "dropout_backward", "shuffle")


@jit
def _draw(words, chunk, step, stream, key0, key1):
    """Elements 64 chunk ... 64 chunk + 63 of a draw (Philox4x32-10)."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for lane in range(LANES):
        counter = np.uint64(chunk * LANES + lane)
        x0, x1 = counter & low, counter >> half
        x2, x3 = np.uint64(step) & low, np.uint64(stream) & low
        k0, k1 = np.uint64(key0), np.uint64(key1)
        for _ in range(10):
            a, b = x0 * np.uint64(0xD2511F53), x2 * np.uint64(0xCD9E8D57)
            x0, x1, x2, x3 = (b >> half) ^ x1 ^ k0, b & low, (a >> half) ^ x3 ^ k1, a & low
            k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
        words[lane] = x0
        words[LANES + lane] = x1
        words[2 * LANES + lane] = x2
        words[3 * LANES + lane] = x3


@jit
def _dropout_forward(x, step, y, mask, threshold, factor, stream, key0, key1):
    dtype = y.dtype.type
    kept, zero = dtype(factor), dtype(0)
    words = np.empty(4 * LANES, np.uint32)
    for start in range(0, x.size, words.size):
        _draw(words, start // words.size, step[0], stream, key0, key1)
        for i in range(start, min(start + words.size, x.size)):
            mask[i] = kept if words[i - start] >= threshold else zero
            y[i] = x[i] * mask[i]


@jit
def _dropout_backward(mask, dy, dx):
    for i in range(dx.size):
        dx[i] = dy[i] * mask[i]


@jit
def _shuffle(epoch, index, stream, key0, key1):
    rows = index.size
    words = np.empty(4 * LANES, np.uint32)
    for i in range(rows):
        index[i] = i
    chunk = -1
    for i in range(rows - 1, 0, -1):
        if i // words.size != chunk:
            chunk = i // words.size
            _draw(words, chunk, epoch[0], stream, key0, key1)
        j = np.int64(np.uint64(words[i % words.size]) * np.uint64(i + 1) >> np.uint64(32))
        index[i], index[j] = index[j], index[i]


def _keys(seed: int) -> tuple[int, int]:
    return seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF


def dropout_forward(x, step, y, mask, p, seed, stream) -> Bound:
    threshold = int(min(p * 2**32, 2**32 - 1))
    factor = 1 / (1 - p) if p < 1 else 0.0
    return _dropout_forward, (flat(x), step, flat(y), flat(mask), threshold, factor, stream, *_keys(seed))


def dropout_backward(mask, dy, dx) -> Bound:
    return _dropout_backward, (flat(mask), flat(dy), flat(dx))


def shuffle(epoch, index, seed) -> Bound:
    return _shuffle, (epoch, index, SHUFFLE_STREAM, *_keys(seed))
