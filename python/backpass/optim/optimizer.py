"""Optimizer: what every optimizer is. One fused instruction updates all parameters in one pass."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import real
from ..contract import REGISTRY
from ..memory import aligned
from ..program import Instruction, call
from ..recorded import Recorded
from .clip import partial_sums
from .schedules import Schedule


def clipped(grads: np.ndarray, scale: np.ndarray, clip_value: float) -> np.ndarray:
    """The gradient that every update starts from: scaled to the norm limit, then limited by value; itself where none applies."""
    g = grads if scale[0] == 1 else grads * grads.dtype.type(scale[0])
    return np.clip(g, -clip_value, clip_value) if clip_value < math.inf else g


def decayed(g: np.ndarray, weight_decay: float, params: np.ndarray) -> np.ndarray:
    """g + λ p; g itself without decay."""
    return g + weight_decay * params if weight_decay else g


class Optimizer(Recorded):
    """Base of all optimizers.

    Args (of every optimizer):
        lr: learning rate, a number above 0 or a schedule from `optim.schedules`.
        clip_grad_norm: rescale the gradient of all parameters together to this Euclidean norm at most (default: don't).
        clip_grad_value: limit every element of the (rescaled) gradient to ± this (default: don't).
    """

    op = ""  # the name of its update op
    slots: tuple[str, ...] = ()  # moments: one flat vector each, in the order of the op

    def __init__(
        self, lr: float | Schedule, clip_grad_norm: float | None = None, clip_grad_value: float | None = None
    ) -> None:
        self.schedule = lr if isinstance(lr, Schedule) else None
        if isinstance(lr, Schedule):
            self.lr = lr.initial
        else:
            self.lr = self.number("lr", lr, 0, math.inf)
        self.clip_grad_norm = self.number(
            "clip_grad_norm", math.inf if clip_grad_norm is None else clip_grad_norm, 0, math.inf, True
        )
        self.clip_grad_value = self.number(
            "clip_grad_value", math.inf if clip_grad_value is None else clip_grad_value, 0, math.inf, True
        )
        self.scalars: dict[str, Any] = {"clip_value": self.clip_grad_value}

    def number(self, name: str, value: Any, low: float, high: float, unlimited: bool = False) -> float:
        """Check a hyper-parameter; infinity only if `unlimited`."""
        number = real(value)
        if not low <= number <= high or (number == math.inf and not unlimited):
            raise ValueError(
                f"{type(self).__name__}: {name} is {value!r}, expected a number from {low:g} to {high:g}"
            )
        return number

    def pair(self, name: str, value: Any, high: float) -> tuple[float, float]:
        """Check two hyper-parameters that come as a tuple."""
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}, expected two numbers")
        return self.number(f"{name}[0]", value[0], 0, high), self.number(f"{name}[1]", value[1], 0, high)

    def start(self, slot: str) -> float:
        """The value that a slot starts from."""
        return 0.0

    def state(self, size: int, dtype: Any) -> dict[str, np.ndarray]:
        """The buffers of this optimizer for `size` parameters: its slots, and what its other instructions need."""
        state = {slot: aligned((size,), dtype) for slot in self.slots}
        for slot, array in state.items():
            array[...] = self.start(slot)
        return state | {
            "lr": np.full(1, self.lr),
            "scale": np.ones(1),
            "norm": np.zeros(1),
            "partials": partial_sums(size),
        }

    def emit(
        self,
        params: np.ndarray,
        grads: np.ndarray,
        state: dict[str, np.ndarray],
        step: np.ndarray,
        loss: np.ndarray,
        halt: np.ndarray,
    ) -> list[Instruction]:
        """The instructions of one update: schedule, norm and guard, the update itself."""
        given = {k: v for k, v in state.items() if k in REGISTRY[self.op].arrays}
        return [
            *([self.schedule.emit(step, state["lr"])] if self.schedule else []),
            call("gradient_norm", grads=grads, partials=state["partials"]),
            call(
                "clip_scale",
                loss=loss,
                partials=state["partials"],
                norm=state["norm"],
                scale=state["scale"],
                halt=halt,
                max_norm=self.clip_grad_norm,
            ),
            *self.prepare(state, step),
            call(
                self.op,
                params=params,
                grads=grads,
                **({"step": step} if "step" in REGISTRY[self.op].arrays else {}),
                **given,
                **self.scalars,
            ),
        ]

    def prepare(self, state: dict[str, np.ndarray], step: np.ndarray) -> list[Instruction]:
        """Instructions before the update that only this optimizer needs."""
        return []

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lr={self.schedule or self.lr})"


Factory = Callable[[], Optimizer]
