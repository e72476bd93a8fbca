"""Random words, bit for bit as ops/philox.py draws them."""

import numpy as np

from ...ops.philox import LANES
from .compiler import jit


@jit
def draw_chunk(words, chunk, step, stream, key0, key1):
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


def keys(seed: int) -> tuple[int, int]:
    """The two words of a seed."""
    return seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
