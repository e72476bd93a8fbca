"""Adadelta (Zeiler 2012): steps in the units of the parameters, from running averages of gradients and steps."""

import math

import numpy as np

from ..contract import op, positive
from .optimizer import Optimizer, clipped, decayed
from .schedules import Schedule
from .sgd import HYPER


@op(
    "params[N] grads[N] v[N] delta[N] lr[1]:float64 scale[1]:float64 -> params v delta",
    samples=HYPER | {"v": positive, "delta": positive, "rho": [0.9], "eps": [1e-6]},
)
def adadelta_step(
    params,
    grads,
    v,
    delta,
    lr,
    scale,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    clip_value: float = math.inf,
):
    """g += λ p; v = ρ v + (1-ρ) g²; u = √(delta + eps) / √(v + eps) g; delta = ρ delta + (1-ρ) u²; p -= lr u."""
    g = decayed(clipped(grads, scale, clip_value), weight_decay, params)
    v *= rho
    v += (1 - rho) * g * g
    u = np.sqrt(delta + eps) / np.sqrt(v + eps) * g
    delta *= rho
    delta += (1 - rho) * u * u
    params -= lr.astype(params.dtype)[0] * u


class Adadelta(Optimizer):
    """Adadelta (PyTorch's): lr 1.0, rho 0.9, eps 1e-6, L2 weight_decay."""

    op = "adadelta_step"
    slots = ("v", "delta")

    def __init__(
        self,
        lr: float | Schedule = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(lr, clip_grad_norm, clip_grad_value)
        self.scalars |= {
            "rho": self.number("rho", rho, 0, 1),
            "eps": self.number("eps", eps, 0, math.inf),
            "weight_decay": self.number("weight_decay", weight_decay, 0, math.inf),
        }
