"""What GradientMonitor measures of a step, as ops: norms of parts of flat vectors, and units that are dead or saturated."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

import math
from typing import Any

import numpy as np

from ..contract import Dims, as_rows, constant, op
from ..program import Instruction, address, call
from ..steps import Plan

WINDOW = 5  # a ReLU is dead if it gave 0 for every row of this many batches
FLAT = 0.05  # a unit is saturated where its slope is below this share of the largest
REACH = math.sqrt(1 - FLAT)  # of |y| where the slope 1 - y² of a tanh is FLAT


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
    apart=("y",),
)
def dead_units(y, sample, fired, share, window: int):
    """fired[o] = sample where y > 0 in any row; share of the units that fired in none of the last `window` samples."""
    fired[as_rows(y > 0).any(axis=0)] = sample[0]
    share[0] = np.mean(sample[0] - fired >= min(window, sample[0] + 1)) if len(fired) else 0.0


@op("y[*] -> share[1]:float64", samples={"centre": [0.0, 0.5], "reach": [0.7]}, apart=("y",))
def saturated_units(y, share, centre: float, reach: float):
    """The share of the elements with |y - centre| > reach."""
    share[0] = np.mean(np.abs(y - y.dtype.type(centre)) > y.dtype.type(reach)) if y.size else 0.0


class Units:
    """The activations of a plan's network that can die or saturate, and the share of idle units of each."""

    def __init__(self, plan: Plan | None, sample: np.ndarray) -> None:
        self.layers: list[str] = []  # that compute them, in the order of the forward pass
        self.kinds: list[str] = []  # "dead" or "saturated"
        found: list[tuple[str, np.ndarray]] = []
        for instruction in plan.forward if plan else ():
            activation, y = instruction.fields.get("activation", ""), instruction.fields.get("y")
            if activation not in ("relu", "sigmoid", "tanh") or y is None or plan is None:
                continue
            if activation != "relu" and address(y) == address(
                plan.out
            ):  # an output may well be sure of itself
                continue
            found.append((activation, y))
            self.layers.append(instruction.layer)
            self.kinds.append("dead" if activation == "relu" else "saturated")
        self.shares = np.zeros(len(found))
        self.instructions: list[Instruction] = []
        for at, (activation, y) in enumerate(found):
            share = self.shares[at : at + 1]
            if activation == "relu":
                fired = np.full(y.shape[-1], sample[0] - 1)
                self.instructions.append(
                    call("dead_units", y=y, sample=sample, fired=fired, share=share, window=WINDOW)
                )
            else:
                centre, scale = (0.5, 0.5) if activation == "sigmoid" else (0.0, 1.0)
                self.instructions.append(
                    call("saturated_units", y=y, share=share, centre=centre, reach=scale * REACH)
                )


def ratio(update: float, weights: float) -> float:
    """update / weights; 0 where nothing changed."""
    return update / weights if weights else 0.0 if not update else math.inf
