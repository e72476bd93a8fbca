"""Learning-rate schedules: functions of the number of completed steps, evaluated by the program at each step."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..checks import is_whole, real
from ..contract import constant as everywhere
from ..contract import op
from ..program import Instruction, call

STEP = {"step": everywhere(37)}


class Schedule:
    """A learning rate that changes with the step; made by the functions of this module."""

    def __init__(
        self, op_name: str, initial: float, arrays: dict[str, np.ndarray] | None = None, **scalars: float
    ) -> None:
        self.op = op_name
        self.initial = _rate("lr", initial)
        self.arrays = arrays or {}
        self.scalars = scalars
        for name in ("factor", "end"):
            if name in scalars:
                scalars[name] = _rate(name, scalars[name])

    def emit(self, step: np.ndarray, lr: np.ndarray) -> Instruction:
        """The instruction that sets lr for the coming step."""
        return call(self.op, step=step, lr=lr, initial=self.initial, **self.arrays, **self.scalars)

    def __call__(self, step: int) -> float:
        """The learning rate after `step` completed steps."""
        lr = np.zeros(1)
        instruction = self.emit(np.array([_count("step", step, 0)], np.int64), lr)
        instruction.op.function(**instruction.fields)
        return float(lr[0])

    def __repr__(self) -> str:
        name, scalars = self.op.removesuffix("_schedule"), dict(self.scalars)
        if scalars.get("warmup_steps") == 0:
            del scalars["warmup_steps"]
        elif "warmup_steps" in scalars:
            name = "warmup_cosine"
        arguments = [f"{self.initial:g}", *(f"{key}={value:g}" for key, value in scalars.items())]
        if self.arrays:
            milestones, factors = (self.arrays[key].tolist() for key in ("milestones", "factors"))
            pairs = zip(milestones, factors, strict=True)
            arguments.append(f"{{{', '.join(f'{step}: {factor:g}' for step, factor in pairs)}}}")
        return f"{name}({', '.join(arguments)})"


def _rate(name: str, value: Any) -> float:
    number = real(value)
    if not 0 <= number < math.inf:
        raise ValueError(f"schedule: {name} is {value!r}, expected a finite number of at least 0")
    return number


def _count(name: str, value: Any, low: int = 1) -> int:
    if not is_whole(value) or not low <= value < 2**63:
        raise ValueError(f"schedule: {name} is {value!r}, expected an integer of at least {low}, below 2^63")
    return int(value)


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
    peak, last = 0.3 * total_steps - 1, total_steps - 1
    at = min(float(step[0]), last)
    if at <= peak:
        start, stop, t = initial / 25, initial, at / peak
    else:
        start, stop, t = initial, initial / 25e4, (at - peak) / max(last - peak, 1e-9)
    lr[0] = stop + 0.5 * (start - stop) * (1 + math.cos(math.pi * t))


@op(
    "step[1]:int64 milestones[K]:int64 factors[K]:float64 -> lr[1]:float64",
    samples=STEP | {"initial": [0.1], "milestones": lambda rng, shape, dims: rng.integers(0, 60, shape)},
)
def piecewise_schedule(step, milestones, factors, lr, initial: float):
    """lr = initial · Π factors[k] over the milestones[k] ≤ step."""
    lr[0] = initial * np.prod(factors[milestones <= step[0]])


def constant(lr: float) -> float:
    """The same learning rate at every step."""
    return _rate("lr", lr)


def step(lr: float, every: int, factor: float) -> Schedule:
    """lr, multiplied by `factor` after each `every` steps."""
    return Schedule("step_schedule", lr, every=_count("every", every), factor=factor)


def exponential(lr: float, every: int, factor: float) -> Schedule:
    """lr · factor^(step / every): the same decay as `step`, without the stairs."""
    return Schedule("exponential_schedule", lr, every=_count("every", every), factor=factor)


def cosine(lr: float, total_steps: int, end: float = 0.0) -> Schedule:
    """From lr to `end` along half a cosine (Loshchilov and Hutter 2017); `end` from total_steps on."""
    return Schedule(
        "cosine_schedule", lr, warmup_steps=0, total_steps=_count("total_steps", total_steps), end=end
    )


def warmup_cosine(lr: float, warmup_steps: int, total_steps: int, end: float = 0.0) -> Schedule:
    """Linear up to lr in warmup_steps (the first step takes lr / warmup_steps), then a cosine down to `end` at total_steps."""
    warmup, total = _count("warmup_steps", warmup_steps, 0), _count("total_steps", total_steps)
    if warmup > total:
        raise ValueError(f"schedule: warmup_steps is {warmup}, expected at most total_steps = {total}")
    return Schedule("cosine_schedule", lr, warmup_steps=warmup, total_steps=total, end=end)


def one_cycle(lr: float, total_steps: int) -> Schedule:
    """Up to lr and down again, PyTorch's OneCycleLR with its defaults (without its momentum cycle)."""
    return Schedule("one_cycle_schedule", lr, total_steps=_count("total_steps", total_steps, 4))


def piecewise(lr: float, factors: Mapping[int, float]) -> Schedule:
    """lr, multiplied by factors[s] from step s on (all that have been reached multiply)."""
    if not isinstance(factors, Mapping):
        raise ValueError(f"schedule: factors is {factors!r}, expected a dict {{step: factor}}")
    milestones = np.array([_count("factors: step", s, 0) for s in factors], np.int64)
    values = np.array([_rate("factors: factor", f) for f in factors.values()], np.float64)
    return Schedule("piecewise_schedule", lr, {"milestones": milestones, "factors": values})
