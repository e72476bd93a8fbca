"""The ops between the data and the network: shuffle the rows, gather a batch, keep its outputs and the counters."""

import numpy as np

from .contract import constant, index, op, positive
from .philox import SHUFFLE_STREAM, draw


@op("epoch[1]:int64 -> index[N]:int64", samples={"epoch": constant(2), "seed": [12345]})
def shuffle(epoch, index, seed: int):
    """index = a random permutation of 0 .. N-1 (Fisher and Yates), a function of seed and epoch."""
    order = list(range(len(index)))
    draws = draw(len(order), int(epoch[0]), SHUFFLE_STREAM, seed).tolist()
    for i in range(len(order) - 1, 0, -1):
        j = draws[i] * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    index[:] = order


@op(
    "source[N,F]:number index[N]:int64 cursor[1]:int64 -> out[B,F]",
    samples={"index": index("N"), "cursor": constant(0)},
    padded=("out",),
)
def gather(source, index, cursor, out):
    """out[b] = source[index[cursor + b]], in out's dtype; rows beyond the end of index are left as they are."""
    rows = index[cursor[0] : cursor[0] + len(out)]
    if source.dtype == out.dtype:
        np.take(source, rows, axis=0, out=out[: len(rows)], mode="clip")  # "raise" would copy
    else:
        out[: len(rows)] = np.take(source, rows, axis=0, mode="clip")


@op(
    "source[N,F]:int64 index[N]:int64 cursor[1]:int64 -> out[B,F]:int64",
    samples={"source": index("N"), "index": index("N"), "cursor": constant(0)},
    padded=("out",),
)
def gather_labels(source, index, cursor, out):
    """The same for class indices."""
    rows = index[cursor[0] : cursor[0] + len(out)]
    np.take(source, rows, axis=0, out=out[: len(rows)], mode="clip")  # "raise" would copy


@op(
    "source[N,A,C,P]:number index[N]:int64 cursor[1]:int64 mean[C] std[C] -> out[B,A,C,P]",
    samples={"index": index("N"), "cursor": constant(0), "std": positive, "scale": [1 / 255]},
)
def gather_images(source, index, cursor, mean, std, out, scale: float):
    """out[b] = (source[index[cursor + b]] · scale - mean) / std for each channel, each step rounded in out's dtype.

    Images with the channels first are (N, 1, C, H W), with the channels last (N, H W, C, 1).
    """
    rows = index[cursor[0] : cursor[0] + len(out)]
    into = out[: len(rows)]
    into[...] = np.take(source, rows, axis=0, mode="clip")
    into *= out.dtype.type(scale)
    into -= mean[:, None]
    into /= std[:, None]


@op("x[B,F] kept[N,F] count[1]:int64 -> kept count", samples={"count": constant(0)})
def append_rows(x, kept, count):
    """kept[count + b] = x[b], count += B: the rows of an epoch, batch by batch; those beyond the end of kept are left out."""
    _append(x, kept, count)


@op(
    "x[B,F]:int64 kept[N,F]:int64 count[1]:int64 -> kept count",
    samples={"x": index("N"), "kept": index("N"), "count": constant(0)},
)
def append_labels(x, kept, count):
    """The same for class indices."""
    _append(x, kept, count)


@op(
    "loss[1]:float64 count[1]:float64 step[N]:int64 cursor[1]:int64 total[2]:float64 -> step cursor total",
    samples={"rows": [7], "step": constant(3), "cursor": constant(14)},
)
def advance(loss, count, step, cursor, total, rows: int):
    """step += 1, every counter in it; cursor += rows; total += (loss count, count)."""
    step += 1
    cursor += rows
    total[0] += loss[0] * count[0]
    total[1] += count[0]


def _append(x, kept, count):
    if count[0] >= 0:
        room = kept[count[0] : count[0] + len(x)]
        room[...] = x[: len(room)]
    count += len(x)
