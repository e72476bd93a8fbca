"""Lion (Chen et al. 2023): the sign of an interpolated momentum."""

import math

from ..ops import lion_step
from .optimizer import LearningRate, Optimizer


class Lion(Optimizer):
    """Lion: p -= lr · weight_decay · p; p -= lr · sign(β1 m + (1-β1) g); m = β2 m + (1-β2) g.

    It wants a learning rate 3 to 10 times smaller than Adam's. Source: Chen et al. 2023.

    Args:
        lr: learning rate, a number or a schedule from `optim.schedules`, default 1e-4.
        betas: two numbers in [0, 1], default (0.9, 0.99).
        weight_decay: decoupled from the gradient, default 0.
        clip_grad_norm: rescale the whole gradient to this Euclidean norm at most, default None: don't.
        clip_grad_value: limit every element of the gradient to ± this, default None: don't.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.Lion()
        Lion(lr=0.0001)
    """

    op = lion_step
    slots = ("m",)

    def __init__(
        self,
        lr: LearningRate = 1e-4,
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
