"""RMSprop (Hinton 2012; centered: Graves 2013), as in PyTorch: eps outside the root, lr outside the momentum buffer."""

import math

import numpy as np

from ..checks import flag
from ..contract import constant, op, positive
from .optimizer import Optimizer, clipped, decayed
from .schedules import Schedule
from .sgd import HYPER


@op(
    "params[N] grads[N] v[N] grad_avg[N]? velocity[N]? lr[1]:float64 scale[1]:float64 -> params v grad_avg velocity",
    samples=HYPER
    | {"v": positive, "grad_avg": constant(0.05), "alpha": [0.9], "eps": [1e-8], "momentum": [0.5]},
)
def rmsprop_step(
    params,
    grads,
    v,
    grad_avg,
    velocity,
    lr,
    scale,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    clip_value: float = math.inf,
):
    """g += λ p; v = α v + (1-α) g²; u = g / (√v + eps); p -= lr u, or lr b with b = μ b + u if there is a velocity.

    With grad_avg (centered): ḡ = α ḡ + (1-α) g, and √max(v - ḡ², 0) in place of √v.
    """
    g = decayed(clipped(grads, scale, clip_value), weight_decay, params)
    v *= alpha
    v += (1 - alpha) * g * g
    spread = v
    if grad_avg is not None:
        grad_avg += (1 - alpha) * (g - grad_avg)
        spread = np.maximum(v - grad_avg * grad_avg, 0)  # rounding may take a constant gradient's below 0
    u = g / (np.sqrt(spread) + eps)
    if velocity is not None:
        velocity *= momentum
        velocity += u
        u = velocity
    params -= lr.astype(params.dtype)[0] * u


class RMSprop(Optimizer):
    """RMSprop (PyTorch's): lr 1e-2, alpha 0.99, eps 1e-8, L2 weight_decay, momentum, centered."""

    op = "rmsprop_step"

    def __init__(
        self,
        lr: float | Schedule = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(lr, clip_grad_norm, clip_grad_value)
        self.scalars |= {
            "alpha": self.number("alpha", alpha, 0, 1),
            "eps": self.number("eps", eps, 0, math.inf),
            "weight_decay": self.number("weight_decay", weight_decay, 0, math.inf),
            "momentum": self.number("momentum", momentum, 0, math.inf),
        }
        wanted = {"grad_avg": flag("RMSprop: centered", centered), "velocity": self.scalars["momentum"] > 0}
        self.slots = ("v", *(slot for slot, used in wanted.items() if used))
