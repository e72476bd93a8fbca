"""The ops between the data and the network: shuffle the rows, gather a batch, keep its outputs and the counters."""

import numpy as np

from ...ops.philox import LANES, SHUFFLE_STREAM
from .compiler import Bound, direct, jit
from .philox import draw_chunk, keys


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
            draw_chunk(words, chunk, epoch[0], stream, key0, key1)
        j = np.int64(np.uint64(words[i % words.size]) * np.uint64(i + 1) >> np.uint64(32))
        index[i], index[j] = index[j], index[i]


def shuffle(epoch, index, seed) -> Bound:
    return _shuffle, (epoch, index, SHUFFLE_STREAM, *keys(seed))


@direct
@jit
def gather(source, index, cursor, out):
    start = max(cursor[0], 0)
    for b in range(min(out.shape[0], index.size - start)):
        row = min(max(index[start + b], 0), source.shape[0] - 1)
        for f in range(out.shape[1]):
            out[b, f] = source[row, f]


gather_labels = gather


@direct
@jit
def gather_images(source, index, cursor, mean, std, out, scale):
    number = out.dtype.type
    factor = number(scale)
    start = max(cursor[0], 0)
    for b in range(min(out.shape[0], index.size - start)):
        row = min(max(index[start + b], 0), source.shape[0] - 1)
        for a in range(out.shape[1]):
            for c in range(out.shape[2]):
                for p in range(out.shape[3]):
                    out[b, a, c, p] = (number(source[row, a, c, p]) * factor - mean[c]) / std[c]


@direct
@jit
def append_rows(x, kept, count):
    start = count[0]
    if start >= 0:
        for b in range(min(x.shape[0], kept.shape[0] - start)):
            for f in range(x.shape[1]):
                kept[start + b, f] = x[b, f]
    count[0] += x.shape[0]


append_labels = append_rows


@direct
@jit
def advance(loss, count, step, cursor, total, rows):
    for i in range(step.size):
        step[i] += 1
    cursor[0] += rows
    total[0] += loss[0] * count[0]
    total[1] += count[0]
