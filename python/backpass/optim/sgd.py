"""Stochastic gradient descent with momentum (Polyak 1964) and Nesterov's form (Sutskever et al. 2013), as in PyTorch."""

import math

from ..checks import flag
from ..contract import constant, op
from .optimizer import Optimizer, clipped, decayed
from .schedules import Schedule

HYPER = {
    "lr": constant(0.1),
    "scale": constant(0.5),
    "step": lambda rng, shape, dims: [3],
    "clip_value": [0.3, math.inf],
    "weight_decay": [0.1],
}


@op(
    "params[N] grads[N] velocity[N]? lr[1]:float64 scale[1]:float64 step[1]:int64 -> params velocity",
    samples=HYPER | {"momentum": [0.9], "dampening": [0.1], "nesterov": [False, True]},
)
def sgd_step(
    params,
    grads,
    velocity,
    lr,
    scale,
    step,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    clip_value: float = math.inf,
):
    """g += λ p; v = μ v + (1 - dampening) g (v = g at the first step); p -= lr v, or lr (g + μ v) with Nesterov; no v: lr g."""
    g = decayed(clipped(grads, scale, clip_value), weight_decay, params)
    if velocity is not None:
        velocity *= momentum
        velocity += g if step[0] == 0 else (1 - dampening) * g
        g = g + momentum * velocity if nesterov else velocity
    params -= lr.astype(params.dtype)[0] * g


class SGD(Optimizer):
    """Stochastic gradient descent (PyTorch's `optim.SGD`): lr default 1e-3; L2 weight_decay is added to the gradient."""

    op = "sgd_step"

    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(lr, clip_grad_norm, clip_grad_value)
        self.scalars |= {
            "momentum": self.number("momentum", momentum, 0, 1),
            "dampening": self.number("dampening", dampening, 0, 1),
            "weight_decay": self.number("weight_decay", weight_decay, 0, math.inf),
            "nesterov": flag("SGD: nesterov", nesterov),
        }
        self.slots = ("velocity",) if self.scalars["momentum"] else ()
        if self.scalars["nesterov"] and (momentum <= 0 or dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening")
