"""Rows of a table by their indices: positions are sorted by counting, so that the gradients of a row come one after another."""

import numpy as np

from .compiler import Bound, jit


@jit
def choose_rows(weight, index, y):
    for i in range(index.size):
        at = index[i]
        if 0 <= at < weight.shape[0]:
            y[i] = weight[at]
        else:
            y[i] = np.nan


@jit
def sort_positions(rows_of_table, index, order, rows, ends, count, padding_idx):
    """Positions by rows: sorted by 11 bits of a row after another, each time in the order that the last one left."""
    n, bits = 0, 0
    keys, places = np.empty(index.size, np.int64), np.empty(index.size, np.int64)
    for i in range(index.size):
        if 0 <= index[i] < rows_of_table and index[i] != padding_idx:
            keys[n], places[n] = index[i], i
            n += 1
    while bits < 63 and (rows_of_table - 1) >> bits > 0:
        starts = np.zeros(2049, np.int64)
        for i in range(n):
            starts[((keys[i] >> bits) & 2047) + 1] += 1
        for d in range(1, 2049):
            starts[d] += starts[d - 1]
        new_keys, new_places = np.empty_like(keys), np.empty_like(places)
        for i in range(n):
            digit = (keys[i] >> bits) & 2047
            new_keys[starts[digit]], new_places[starts[digit]] = keys[i], places[i]
            starts[digit] += 1
        keys, places = new_keys, new_places
        bits += 11
    order[:], rows[:], ends[:] = -1, -1, 0
    k = -1
    for i in range(n):
        if k < 0 or rows[k] != keys[i]:
            k += 1
            rows[k] = keys[i]
        order[i] = places[i]
        ends[k] = i + 1
    count[0] = k + 1


@jit
def sum_runs(dy, scale, top, length, order, rows, ends, count, sums, compact):
    """The sum of each run, into its row of a table or one behind another. dy and scale: a row for `length` positions."""
    sums[:] = 0
    for k in range(min(count[0], rows.size)):
        into = k if compact else rows[k]
        if not 0 <= into < sums.shape[0]:
            continue
        for i in range(max(ends[k - 1], 0) if k > 0 else 0, min(ends[k], order.size)):
            if order[i] < 0 or length == 0 or order[i] // length >= dy.shape[0]:
                continue
            b, at = order[i] // length, order[i] % length
            for c in range(dy.shape[1]):
                if top is None or top[b, c] == at:
                    sums[into, c] += dy[b, c] if scale is None else scale[b] * dy[b, c]


def both_sums(dy, scale, top, length, order, rows, ends, count, dweight, drows):
    """Into the gradient of the table and into that of the rows that occur, whichever is wanted."""
    gradients = np.ascontiguousarray(dy).reshape(dy.size // max(dy.shape[-1], 1), dy.shape[-1])
    for sums in (dweight, drows):
        if sums is not None:
            sum_runs(gradients, scale, top, length, order, rows, ends, count, sums, sums is drows)


def _forward(weight, index, y):
    choose_rows(weight, np.ascontiguousarray(index).reshape(-1), y.reshape(index.size, y.shape[-1]))


def sort(rows_of_table, index, *arguments):
    sort_positions(rows_of_table, np.ascontiguousarray(index).reshape(-1), *arguments)


def embedding_forward(weight, index, y, padding_idx) -> Bound:
    return _forward, (weight, index, y)


def embedding_backward(weight, index, order, rows, ends, count, padding_idx) -> Bound:
    return sort, (len(weight), index, order, rows, ends, count, padding_idx)


def embedding_backward_weight(dy, order, rows, ends, count, dweight, drows) -> Bound:
    return both_sums, (dy, None, None, 1, order, rows, ends, count, dweight, drows)
