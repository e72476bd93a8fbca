"""Learning-rate schedules: functions of the number of completed steps, evaluated by the program at each step."""

import math

import numpy as np

from .contract import constant, op

STEP = {"step": constant(37)}


@op("step[1]:int64 -> lr[1]:float64", samples=STEP | {"initial": [0.1], "every": [10], "factor": [0.5]})
def step_schedule(step, lr, initial: float, every: int, factor: float):
    """lr = initial · factor^⌊step / every⌋."""
    lr[0] = initial * factor ** (step[0] // every)


@op("step[1]:int64 -> lr[1]:float64", samples=STEP | {"initial": [0.1], "every": [10], "factor": [0.5]})
def exponential_schedule(step, lr, initial: float, every: int, factor: float):
    """lr = initial · factor^(step / every)."""
    lr[0] = initial * factor ** (step[0] / every)


@op(
    "step[1]:int64 -> lr[1]:float64",
    samples=STEP | {"initial": [0.1], "warmup_steps": [0, 20, 50], "total_steps": [100], "end": [0.01]},
)
def cosine_schedule(step, lr, initial: float, warmup_steps: int, total_steps: int, end: float):
    """Linear from 0 over the warm-up, then lr = end + ½ (initial - end)(1 + cos(π t)), t the share of the rest that is done."""
    if step[0] < warmup_steps:
        lr[0] = initial * (step[0] + 1) / warmup_steps
    else:
        t = min((step[0] - warmup_steps) / max(total_steps - warmup_steps, 1), 1.0)
        lr[0] = end + 0.5 * (initial - end) * (1 + math.cos(math.pi * t))


@op(
    "step[1]:int64 -> lr[1]:float64",
    samples={"step": lambda rng, shape, dims: [37], "initial": [0.1], "total_steps": [50, 200]},
)
def one_cycle_schedule(step, lr, initial: float, total_steps: int):
    """Smith 2018, PyTorch's OneCycleLR: cosine up from initial/25 over 30 % of the steps, then down to initial/250,000."""
    peak, last_step = 0.3 * total_steps - 1, total_steps - 1
    position = min(float(step[0]), last_step)
    if position <= peak:
        start, stop, t = initial / 25, initial, position / peak
    else:
        start, stop, t = initial, initial / 25e4, (position - peak) / max(last_step - peak, 1e-9)
    lr[0] = stop + 0.5 * (start - stop) * (1 + math.cos(math.pi * t))


@op(
    "step[1]:int64 milestones[K]:int64 factors[K]:float64 -> lr[1]:float64",
    samples=STEP | {"initial": [0.1], "milestones": lambda rng, shape, dims: rng.integers(0, 60, shape)},
)
def piecewise_schedule(step, milestones, factors, lr, initial: float):
    """lr = initial · Π factors[k] over the milestones[k] ≤ step."""
    lr[0] = initial * np.prod(factors[milestones <= step[0]])
