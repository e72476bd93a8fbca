"""Learning-rate schedules: functions of the number of completed steps, evaluated by the program at each step."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..checks import is_whole, real
from ..errors import missing
from ..ops import (
    Op,
    cosine_schedule,
    exponential_schedule,
    one_cycle_schedule,
    piecewise_schedule,
    step_schedule,
)
from ..program import Instruction, call

__all__ = ["Schedule", "constant", "cosine", "exponential", "one_cycle", "piecewise", "step", "warmup_cosine"]
# What other libraries call these functions.
ELSEWHERE = {
    "CosineAnnealingLR": "optim.schedules.cosine", "CosineDecay": "optim.schedules.cosine", "StepLR": "optim.schedules.step",
    "ExponentialLR": "optim.schedules.exponential", "ExponentialDecay": "optim.schedules.exponential",
    "OneCycleLR": "optim.schedules.one_cycle", "MultiStepLR": "optim.schedules.piecewise",
    "PiecewiseConstantDecay": "optim.schedules.piecewise", "ReduceLROnPlateau": "the callback bp.ReduceLROnPlateau",
    "linear": "optim.schedules.warmup_cosine, or piecewise",
}  # fmt: skip


class Schedule:
    """A learning rate that changes with the step; made by the functions of this module. `schedule(step)` is its value."""

    def __init__(
        self, op: Op, initial: float, arrays: dict[str, np.ndarray] | None = None, **scalars: float
    ) -> None:
        self.op = op
        self.initial = _rate("lr", initial)
        self.arrays = arrays or {}
        self.scalars = scalars
        for name in ("factor", "end"):
            if name in scalars:
                scalars[name] = _rate(name, scalars[name])
        self._fixed = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("_fixed"):
            raise AttributeError(
                f"{self!r} is fixed; assign another schedule: optimizer.lr = optim.schedules..."
            )
        super().__setattr__(name, value)

    def emit(self, step: np.ndarray, lr: np.ndarray) -> Instruction:
        """The instruction that sets lr for the coming step."""
        return call(self.op, step=step, lr=lr, initial=self.initial, **self.arrays, **self.scalars)

    def __call__(self, step: int) -> float:
        """The learning rate after `step` completed steps."""
        lr = np.zeros(1)
        instruction = self.emit(np.array([_count("step", step, 0)], np.int64), lr)
        instruction.op(**instruction.fields)
        return float(lr[0])

    def __repr__(self) -> str:
        name, scalars = self.op.name.removesuffix("_schedule"), dict(self.scalars)
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


def constant(lr: float) -> float:
    """Constant schedule: the same learning rate at every step.

    Args:
        lr: a finite number of at least 0.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.schedules.constant(0.1)
        0.1
    """
    return _rate("lr", lr)


def step(lr: float, every: int, factor: float) -> Schedule:
    """Step schedule: lr · factor^⌊t / every⌋ after t steps.

    Args:
        lr: where it starts.
        every: steps between two changes, at least 1.
        factor: what lr is multiplied by.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.schedules.step(0.1, every=100, factor=0.5)(250)
        0.025
    """
    return Schedule(step_schedule, lr, every=_count("every", every), factor=factor)


def exponential(lr: float, every: int, factor: float) -> Schedule:
    """Exponential schedule: lr · factor^(t / every) after t steps, the same decay as `step`, without the stairs.

    Args:
        lr: where it starts.
        every: steps in which lr is multiplied by factor once, at least 1.
        factor: what lr is multiplied by.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.schedules.exponential(0.1, every=100, factor=0.5)(200)
        0.025
    """
    return Schedule(exponential_schedule, lr, every=_count("every", every), factor=factor)


def cosine(lr: float, total_steps: int, end: float = 0.0) -> Schedule:
    """Cosine schedule: from lr to `end` along half a cosine (Loshchilov and Hutter 2017).

    Args:
        lr: where it starts.
        total_steps: after so many steps it is at `end`, and stays there.
        end: where it ends, default 0.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.schedules.cosine(0.1, total_steps=1000)(500)
        0.05
    """
    return Schedule(
        cosine_schedule, lr, warmup_steps=0, total_steps=_count("total_steps", total_steps), end=end
    )


def warmup_cosine(lr: float, warmup_steps: int, total_steps: int, end: float = 0.0) -> Schedule:
    """Warm-up and cosine: linear up to lr, then half a cosine down to `end`. The first step takes lr / warmup_steps.

    Args:
        lr: the highest rate.
        warmup_steps: in which it is reached, at least 0.
        total_steps: after so many steps it is at `end`; at least warmup_steps.
        end: where it ends, default 0.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.schedules.warmup_cosine(0.1, 10, 100)(9)
        0.1
    """
    warmup, total = _count("warmup_steps", warmup_steps, 0), _count("total_steps", total_steps)
    if warmup > total:
        raise ValueError(f"schedule: warmup_steps is {warmup}, expected at most total_steps = {total}")
    return Schedule(cosine_schedule, lr, warmup_steps=warmup, total_steps=total, end=end)


def one_cycle(lr: float, total_steps: int) -> Schedule:
    """One cycle: up to lr and down again, PyTorch's OneCycleLR with its defaults, without its momentum cycle (Smith 2018).

    Args:
        lr: the highest rate, after 30 % of the steps.
        total_steps: of the cycle, at least 4.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.schedules.one_cycle(0.1, total_steps=1000)
        one_cycle(0.1, total_steps=1000)
    """
    return Schedule(one_cycle_schedule, lr, total_steps=_count("total_steps", total_steps, 4))


def piecewise(lr: float, factors: Mapping[int, float]) -> Schedule:
    """Piecewise constant schedule: lr, multiplied by factors[s] from step s on; all that have been reached multiply.

    Args:
        lr: where it starts.
        factors: a dict {step: factor}.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.schedules.piecewise(0.1, {100: 0.5})(150)
        0.05
    """
    if not isinstance(factors, Mapping):
        raise ValueError(f"schedule: factors is {factors!r}, expected a dict {{step: factor}}")
    milestones = np.array([_count("factors: step", s, 0) for s in factors], np.int64)
    values = np.array([_rate("factors: factor", f) for f in factors.values()], np.float64)
    return Schedule(piecewise_schedule, lr, {"milestones": milestones, "factors": values})


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, __all__, ELSEWHERE)


def __dir__() -> list[str]:
    return [*__all__]
