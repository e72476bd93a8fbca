"""Bags of rows of a table: bag by bag; the gradient of a bag is that of its positions, as in indexing.py."""

import numpy as np

from .compiler import Bound, direct, jit
from .indexing import both_sums, sort


@jit
def _embedding_bag_forward(weight, index, y, scale, top, mean, padding_idx):
    dtype = y.dtype.type
    for b in range(index.shape[0]):
        y[b] = 0
        if top is not None:
            top[b] = -1
        counted = 0
        for l in range(index.shape[1]):
            at = index[b, l]
            if padding_idx >= 0 and at == padding_idx:
                continue
            counted += 1
            for c in range(y.shape[1]):
                x = weight[at, c] if 0 <= at < weight.shape[0] else dtype(np.nan)
                if top is None:
                    y[b, c] += x
                elif top[b, c] < 0 or x > y[b, c] or (np.isnan(x) and not np.isnan(y[b, c])):
                    y[b, c], top[b, c] = x, l
        scale[b] = 1
        if mean and top is None:
            scale[b] = dtype(1) / dtype(counted) if counted > 0 else dtype(0)
            for c in range(y.shape[1]):
                y[b, c] *= scale[b]


embedding_bag_forward = direct(_embedding_bag_forward)


def embedding_bag_backward(weight, index, order, rows, ends, count, padding_idx) -> Bound:
    return sort, (len(weight), index, order, rows, ends, count, padding_idx)


def embedding_bag_backward_weight(dy, scale, top, order, rows, ends, count, dweight, drows) -> Bound:
    length = len(order) // max(len(dy), 1)
    return both_sums, (dy, scale, top, length, order, rows, ends, count, dweight, drows)
