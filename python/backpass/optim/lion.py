"""Lion (Chen et al. 2023): the sign of an interpolated momentum."""

import math

import numpy as np

from ..contract import op
from .optimizer import Optimizer, clipped
from .schedules import Schedule
from .sgd import HYPER


@op(
    "params[N] grads[N] m[N] lr[1]:float64 scale[1]:float64 -> params m",
    samples=HYPER | {"beta1": [0.9], "beta2": [0.99]},
)
def lion_step(
    params,
    grads,
    m,
    lr,
    scale,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
    clip_value: float = math.inf,
):
    """p -= lr λ p; p -= lr sign(β1 m + (1-β1) g); m = β2 m + (1-β2) g."""
    rate = float(lr[0])
    g = clipped(grads, scale, clip_value)
    params *= 1 - rate * weight_decay
    params -= rate * np.sign(beta1 * m + (1 - beta1) * g)
    m *= beta2
    m += (1 - beta2) * g


class Lion(Optimizer):
    """Lion: lr 1e-4, betas (0.9, 0.99), decoupled weight_decay 0. Wants a lr 3 to 10 times smaller than Adam's."""

    op = "lion_step"
    slots = ("m",)

    def __init__(
        self,
        lr: float | Schedule = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(lr, clip_grad_norm, clip_grad_value)
        beta1, beta2 = self.pair("betas", betas, 1)
        self.scalars |= {
            "beta1": beta1,
            "beta2": beta2,
            "weight_decay": self.number("weight_decay", weight_decay, 0, math.inf),
        }
