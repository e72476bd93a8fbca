"""NAdam (Dozat 2016): Adam with Nesterov momentum, as in PyTorch."""

import math

import numpy as np

from ..checks import flag
from ..contract import constant, op, positive
from ..program import Instruction, call
from .adam import BETAS, MomentsOptimizer, update_moments
from .optimizer import clipped
from .schedules import Schedule
from .sgd import HYPER


@op(
    "step[1]:int64 mu_product[1]:float64 -> mu_product coefficients[2]:float64",
    samples={"step": constant(3), "mu_product": positive, "beta1": [0.9], "momentum_decay": [4e-3]},
)
def nadam_momentum(step, mu_product, coefficients, beta1: float = 0.9, momentum_decay: float = 4e-3):
    """μ(t) = β1 (1 - ½ 0.96^(t decay)), t = step + 1; mu_product *= μ(t);

    coefficients = (1 - μ(t)) / (1 - mu_product) of g, and μ(t+1) / (1 - mu_product μ(t+1)) of m.
    """
    t = float(step[0] + 1)
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    following = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    mu_product *= mu
    coefficients[0] = (1 - mu) / (1 - mu_product[0])
    coefficients[1] = following / (1 - mu_product[0] * following)


@op(
    "params[N] grads[N] m[N] v[N] coefficients[2]:float64 lr[1]:float64 scale[1]:float64 step[1]:int64 -> params m v",
    samples=HYPER | BETAS | {"v": positive, "coefficients": positive, "decoupled": [False, True]},
)
def nadam_step(
    params,
    grads,
    m,
    v,
    coefficients,
    lr,
    scale,
    step,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    clip_value: float = math.inf,
):
    """m, v as Adam's; p -= lr (c0 g + c1 m) / (√(v/(1-β2ᵗ)) + eps), t = step + 1, c the coefficients of this step."""
    rate, t = float(lr[0]), float(step[0] + 1)
    g = clipped(grads, scale, clip_value)
    g = update_moments(params, g, m, v, rate, beta1, beta2, weight_decay, decoupled)
    root = np.sqrt(v) * (1 / math.sqrt(1 - beta2**t)) + eps
    params -= (rate * float(coefficients[0]) * g + rate * float(coefficients[1]) * m) / root


class NAdam(MomentsOptimizer):
    """NAdam (PyTorch's): lr 2e-3, betas (0.9, 0.999), eps 1e-8, weight_decay 0 (L2 or decoupled), momentum_decay 4e-3."""

    op = "nadam_step"

    def __init__(
        self,
        lr: float | Schedule = 2e-3,
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
                "nadam_momentum",
                step=step,
                mu_product=state["mu_product"],
                coefficients=state["coefficients"],
                beta1=self.scalars["beta1"],
                momentum_decay=self.momentum_decay,
            )
        ]
