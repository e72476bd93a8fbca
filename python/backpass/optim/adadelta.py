"""Adadelta (Zeiler 2012): steps in the units of the parameters, from running averages of gradients and steps."""

import math

from ..ops import adadelta_step
from .optimizer import LearningRate, Optimizer


class Adadelta(Optimizer):
    """Adadelta: v = ρ v + (1-ρ) g²; u = √(delta + eps) / √(v + eps) g; delta = ρ delta + (1-ρ) u²; p -= lr · u.

    PyTorch's `optim.Adadelta`. Source: Zeiler 2012.

    Args:
        lr: learning rate, a number or a schedule from `optim.schedules`, default 1.0.
        rho: how much of the old averages is kept, in [0, 1], default 0.9.
        eps: added below the roots, default 1e-6.
        weight_decay: of L2, added to the gradient, default 0.
        clip_grad_norm: rescale the whole gradient to this Euclidean norm at most, default None: don't.
        clip_grad_value: limit every element of the gradient to ± this, default None: don't.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.Adadelta()
        Adadelta(lr=1.0)
    """

    op = adadelta_step
    slots = ("v", "delta")

    def __init__(
        self,
        lr: LearningRate = 1.0,
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
