"""Measurements: norms of parts of flat vectors, units that are dead or saturated, and the speed of multiply-adds."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

import math
from typing import Any

import numpy as np

from .contract import Dims, as_rows, constant, op


def _ends(rng: np.random.Generator, shape: tuple[int, ...], dims: Dims) -> Any:
    """A sample of ascending places."""
    return np.sort(rng.integers(0, dims["N"] + 1, shape))


@op("flat[N] before[N]? ends[L]:int64 -> norms[L]:float64", samples={"ends": _ends})
def part_norms(flat, before, ends, norms):
    """norms[l] = √Σ (flat - before)² over the elements from ends[l-1] to ends[l]; without `before` of flat alone."""
    start = 0
    for l, end in enumerate(ends):
        part = flat[start:end] if before is None else flat[start:end] - before[start:end]
        norms[l], start = math.sqrt(np.sum(np.square(part, dtype=np.float64))), end


@op(
    "y[*,O] sample[1]:int64 fired[O]:int64 -> fired share[1]:float64",
    samples={
        "sample": constant(4),
        "fired": lambda rng, shape, dims: rng.integers(-1, 4, shape),
        "window": [1, 3, 9],
    },
    padded=("y",),
)
def dead_units(y, sample, fired, share, window: int):
    """fired[o] = sample where y > 0 in any row; share of the units that fired in none of the last `window` samples."""
    fired[as_rows(y > 0).any(axis=0)] = sample[0]
    share[0] = np.mean(sample[0] - fired >= min(window, sample[0] + 1)) if len(fired) else 0.0


@op("y[*] -> share[1]:float64", samples={"centre": [0.0, 0.5], "reach": [0.7]}, padded=("y",))
def saturated_units(y, share, centre: float, reach: float):
    """The share of the elements with |y - centre| > reach."""
    share[0] = np.mean(np.abs(y - y.dtype.type(centre)) > y.dtype.type(reach)) if y.size else 0.0


@op("x[*] -> y[*]", samples={"factor": [0.5], "term": [1.0], "rounds": [0, 1, 5]})
def multiply_add(x, y, factor: float = 1.0, term: float = 0.0, rounds: int = 1):
    """y = x, then `rounds` times y = y · factor + term: arithmetic in registers and nothing else."""
    y[...] = x
    for _ in range(rounds):
        y[...] = y * x.dtype.type(factor) + x.dtype.type(term)
