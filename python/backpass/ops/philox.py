"""Random numbers that every backend can draw alike: Philox4x32-10 (Salmon et al. 2011), a hash of a counter and a key."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

import numpy as np

SHUFFLE_STREAM = 0xB0000000  # of the order of rows; streams of dropout layers count up from 1
LANES = 16  # element 64 c + 16 w + l of a draw is word w of counter 16 c + l: one vector of counters gives 4 of elements


def philox(counters: np.ndarray, step: int, stream: int, seed: int) -> np.ndarray:
    """Four words for each counter: uint32 (4, n), keyed by the seed, at (counter, step, stream)."""
    x0 = counters.astype(np.uint64) & np.uint64(0xFFFFFFFF)
    x1 = counters.astype(np.uint64) >> np.uint64(32)
    x2 = np.full_like(x0, step & 0xFFFFFFFF)
    x3 = np.full_like(x0, stream & 0xFFFFFFFF)
    k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = x0 * np.uint64(0xD2511F53), x2 * np.uint64(0xCD9E8D57)
        x0, x1, x2, x3 = (
            (b >> np.uint64(32)) ^ x1 ^ np.uint64(k0),
            b & low,
            (a >> np.uint64(32)) ^ x3 ^ np.uint64(k1),
            a & low,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([x0, x1, x2, x3]).astype(np.uint32)


def draw(size: int, step: int, stream: int, seed: int) -> np.ndarray:
    """`size` random uint32 for one step of one stream."""
    chunks = -(-size // (4 * LANES))
    words = philox(np.arange(chunks * LANES), step, stream, seed)
    return words.reshape(4, chunks, LANES).transpose(1, 0, 2).ravel()[:size]
