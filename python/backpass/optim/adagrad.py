"""Adagrad (Duchi et al. 2011): a learning rate for each parameter that falls with its summed squared gradients."""

import math

import numpy as np

from ..contract import op, positive
from .optimizer import Optimizer, clipped, decayed
from .schedules import Schedule
from .sgd import HYPER


@op(
    "params[N] grads[N] total[N] lr[1]:float64 scale[1]:float64 step[1]:int64 -> params total",
    samples=HYPER | {"total": positive, "lr_decay": [0.1], "eps": [1e-10]},
)
def adagrad_step(
    params,
    grads,
    total,
    lr,
    scale,
    step,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    clip_value: float = math.inf,
):
    """g += λ p; total += g²; p -= lr / (1 + step lr_decay) · g / (√total + eps)."""
    g = decayed(clipped(grads, scale, clip_value), weight_decay, params)
    total += g * g
    params -= float(lr[0]) / (1 + float(step[0]) * lr_decay) * (g / (np.sqrt(total) + eps))


class Adagrad(Optimizer):
    """Adagrad (PyTorch's): lr 1e-2, lr_decay 0, L2 weight_decay, initial_accumulator_value 0, eps 1e-10."""

    op = "adagrad_step"
    slots = ("total",)

    def __init__(
        self,
        lr: float | Schedule = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(lr, clip_grad_norm, clip_grad_value)
        self.initial_accumulator_value = self.number(
            "initial_accumulator_value", initial_accumulator_value, 0, math.inf
        )
        self.scalars |= {
            "lr_decay": self.number("lr_decay", lr_decay, 0, math.inf),
            "eps": self.number("eps", eps, 0, math.inf),
            "weight_decay": self.number("weight_decay", weight_decay, 0, math.inf),
        }

    def start(self, slot: str) -> float:
        return self.initial_accumulator_value
