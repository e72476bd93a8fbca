"""The ops between the data and the network."""

from .compiler import direct, jit

OPS = ("gather", "gather_labels", "advance")


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
def advance(loss, count, step, cursor, total, rows):
    step[0] += 1
    cursor[0] += rows
    total[0] += loss[0] * count[0]
    total[1] += count[0]
