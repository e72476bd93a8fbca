"""Rows of a table that occur in a batch: positions sorted by the rows that they choose, and copies of rows from it and back."""

import numpy as np

from .contract import op


def runs(index, counted):
    """(order, rows, ends): positions with the same index are a run, order[ends[k-1] .. ends[k]) are those with index rows[k]."""
    places = np.flatnonzero(counted)
    chosen = index.reshape(-1)[places]
    rows, lengths = np.unique(chosen, return_counts=True)
    return places[np.argsort(chosen, kind="stable")], rows, np.cumsum(lengths)


def positions_of_runs(order, ends, count, size):
    """(run, position) of every position below `size`: the runs one after another."""
    lengths = np.diff(ends[: max(int(count[0]), 0)], prepend=0)
    run = np.repeat(np.arange(len(lengths)), lengths)
    place = order[: len(run)]
    within = (place >= 0) & (place < size)
    return run[within], place[within]


def add_runs(dweight, drows, rows, run, place, gradients):
    """The sums of gradients by run: into the rows of a table, and one behind another."""
    if dweight is not None:
        dweight[...] = 0
        np.add.at(dweight, rows[run], gradients[place])
    if drows is not None:
        drows[...] = 0
        kept = run < len(drows)
        np.add.at(drows, run[kept], gradients[place[kept]])


def _sampled(part):
    """A part of the runs of M indices below V, for tests: the same indices for all parts."""

    def sample(rng, shape, dims):
        size, table = dims["M"], dims["V"]
        index = np.random.default_rng([size, table]).integers(0, max(table, 1), size if table else 0)
        order, rows, ends = runs(index, index >= 0)
        if part == "count":
            return [len(rows)]
        values = {"order": order, "rows": rows, "ends": ends}[part]
        return np.concatenate([values, np.full(size - len(values), 0 if part == "ends" else -1)])

    return sample


RUNS = {part: _sampled(part) for part in ("order", "rows", "ends", "count")}


@op("table[V,E] rows[M]:int64 count[1]:int64 -> chosen[R,E]", samples=RUNS)
def gather_rows(table, rows, count, chosen):
    """chosen_k = table[rows_k] for k < count, 0 behind."""
    n = min(int(count[0]), len(rows), len(chosen))
    chosen[...] = 0
    chosen[:n] = table[rows[:n]]


@op("chosen[R,E] rows[M]:int64 count[1]:int64 table[V,E] -> table", samples=RUNS)
def scatter_rows(chosen, rows, count, table):
    """table[rows_k] = chosen_k for k < count; no row occurs twice."""
    n = min(int(count[0]), len(rows), len(chosen))
    table[rows[:n]] = chosen[:n]
