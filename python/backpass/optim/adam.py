"""Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019): one op, in one pass over the parameters."""

import math

import numpy as np

from ..checks import flag
from ..contract import op, positive
from .optimizer import Optimizer, clipped, decayed
from .schedules import Schedule
from .sgd import HYPER

BETAS = {"beta1": [0.9], "beta2": [0.99], "eps": [1e-8]}


def update_moments(params, g, m, v, rate, beta1, beta2, weight_decay, decoupled):
    """What Adam and NAdam share: the decay, then m and v; returns the gradient that went into them."""
    if decoupled:
        params *= 1 - rate * weight_decay
    else:
        g = decayed(g, weight_decay, params)
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * g * g
    return g


@op(
    "params[N] grads[N] m[N] v[N] max_v[N]? lr[1]:float64 scale[1]:float64 step[1]:int64 -> params m v max_v",
    samples=HYPER
    | BETAS
    | {"v": positive, "max_v": positive, "decoupled": [False, True], "eps_hat": [False, True]},
)
def adam_step(
    params,
    grads,
    m,
    v,
    max_v,
    lr,
    scale,
    step,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    eps_hat: bool = False,
    clip_value: float = math.inf,
):
    """m = β1 m + (1-β1) g; v = β2 v + (1-β2) g²; p -= lr/(1-β1ᵗ) m / (√(v/(1-β2ᵗ)) + eps), t = step + 1.

    L2 decay adds λ p to g; decoupled decay takes lr λ p off p first. max_v, if given, is the largest v so far (AMSGrad).
    eps_hat: eps is added to √v before the correction of its bias, that is, eps/√(1-β2ᵗ) after it.
    """
    rate, t = float(lr[0]), float(step[0] + 1)
    update_moments(
        params, clipped(grads, scale, clip_value), m, v, rate, beta1, beta2, weight_decay, decoupled
    )
    if max_v is not None:
        np.maximum(max_v, v, out=max_v)
    unbias = 1 / math.sqrt(1 - beta2**t)
    root = np.sqrt(v if max_v is None else max_v) * unbias + (eps * unbias if eps_hat else eps)
    params -= rate / (1 - beta1**t) * (m / root)


class MomentsOptimizer(Optimizer):
    """What Adam and NAdam are: two moments, and the hyper-parameters that move them."""

    slots: tuple[str, ...] = ("m", "v")

    def __init__(
        self,
        lr: float | Schedule,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        decoupled: bool,
        clip_grad_norm: float | None,
        clip_grad_value: float | None,
    ) -> None:
        super().__init__(lr, clip_grad_norm, clip_grad_value)
        beta1, beta2 = self.pair("betas", betas, 1 - 1e-12)
        self.scalars |= {
            "beta1": beta1,
            "beta2": beta2,
            "eps": self.number("eps", eps, 0, math.inf),
            "weight_decay": self.number("weight_decay", weight_decay, 0, math.inf),
            "decoupled": decoupled,
        }


class Adam(MomentsOptimizer):
    """Adam (PyTorch's `optim.Adam`): lr 1e-3, betas (0.9, 0.999), eps 1e-8; L2 weight_decay is added to the gradient.

    eps_hat: add eps before the correction of the bias, as Keras and scikit-learn do (Kingma and Ba's "eps hat").
    """

    op = "adam_step"
    decoupled = False

    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        eps_hat: bool = False,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay, self.decoupled, clip_grad_norm, clip_grad_value)
        if flag(f"{type(self).__name__}: amsgrad", amsgrad):
            self.slots += ("max_v",)
        self.scalars["eps_hat"] = flag(f"{type(self).__name__}: eps_hat", eps_hat)


class AdamW(Adam):
    """Adam with decoupled weight decay (PyTorch's `optim.AdamW`): weight_decay 1e-2 by default."""

    decoupled = True

    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            clip_grad_norm=clip_grad_norm,
            clip_grad_value=clip_grad_value,
        )
