"""Adagrad (Duchi et al. 2011): a learning rate for each parameter that falls with its summed squared gradients."""

import math

from ..ops import adagrad_step
from .optimizer import LearningRate, Optimizer


class Adagrad(Optimizer):
    """Adagrad: total += g²; p -= lr / (1 + step · lr_decay) · g / (√total + eps) (PyTorch's `optim.Adagrad`).

    Source: Duchi et al. 2011.

    Args:
        lr: learning rate, a number or a schedule from `optim.schedules`, default 1e-2.
        lr_decay: how the rate falls with the steps, default 0.
        weight_decay: of L2, added to the gradient, default 0.
        initial_accumulator_value: where total starts, default 0.
        eps: added to the root, default 1e-10.
        clip_grad_norm: rescale the whole gradient to this Euclidean norm at most, default None: don't.
        clip_grad_value: limit every element of the gradient to ± this, default None: don't.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.Adagrad()
        Adagrad(lr=0.01)
    """

    op = adagrad_step
    slots = ("total",)

    def __init__(
        self,
        lr: LearningRate = 1e-2,
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
