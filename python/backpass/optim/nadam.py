"""NAdam (Dozat 2016): Adam with Nesterov momentum, as in PyTorch."""

import math

import numpy as np

from ..checks import flag
from ..ops import nadam_momentum, nadam_step
from ..program import Instruction, call
from .adam import MomentsOptimizer
from .optimizer import LearningRate


class NAdam(MomentsOptimizer):
    """NAdam: Adam with Nesterov momentum, p -= lr (c0 g + c1 m) / (√(v/(1-β2ᵗ)) + eps) (PyTorch's `optim.NAdam`).

    μ(t) = β1 (1 - ½ 0.96^(t · momentum_decay)); c0 = (1 - μ(t)) / (1 - Π μ), c1 = μ(t+1) / (1 - Π μ · μ(t+1)).
    Source: Dozat 2016.

    Args:
        lr: learning rate, a number or a schedule from `optim.schedules`, default 2e-3.
        betas: how much of the old moments is kept, two numbers below 1, default (0.9, 0.999).
        eps: added to the root, default 1e-8.
        weight_decay: of L2, or decoupled, default 0.
        momentum_decay: default 4e-3.
        decoupled_weight_decay: whether weight_decay is decoupled from the gradient, default False.
        clip_grad_norm: rescale the whole gradient to this Euclidean norm at most, default None: don't.
        clip_grad_value: limit every element of the gradient to ± this, default None: don't.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.NAdam()
        NAdam(lr=0.002)
    """

    op = nadam_step

    def __init__(
        self,
        lr: LearningRate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        decoupled = flag("NAdam: decoupled_weight_decay", decoupled_weight_decay)
        super().__init__(lr, betas, eps, weight_decay, decoupled, clip_grad_norm, clip_grad_value)
        self.momentum_decay = self.number("momentum_decay", momentum_decay, 0, math.inf)

    def state(self, size: int, dtype: object) -> dict[str, np.ndarray]:
        return super().state(size, dtype) | {"mu_product": np.ones(1), "coefficients": np.zeros(2)}

    def prepare(self, state: dict[str, np.ndarray], step: np.ndarray) -> list[Instruction]:
        return [
            call(
                nadam_momentum,
                step=step,
                mu_product=state["mu_product"],
                coefficients=state["coefficients"],
                beta1=self.scalars["beta1"],
                momentum_decay=self.momentum_decay,
            )
        ]
