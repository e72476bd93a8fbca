"""Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019): one op, in one pass over the parameters."""

import math

from ..checks import flag
from ..ops import adam_step
from .optimizer import LearningRate, Optimizer


class MomentsOptimizer(Optimizer):
    """What Adam and NAdam are: two moments, and the hyper-parameters that move them."""

    slots: tuple[str, ...] = ("m", "v")

    def __init__(
        self,
        lr: LearningRate,
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
    """Adam: m = β1 m + (1-β1) g; v = β2 v + (1-β2) g²; p -= lr · m/(1-β1ᵗ) / (√(v/(1-β2ᵗ)) + eps) (PyTorch's `optim.Adam`).

    Source: Kingma and Ba 2015; AMSGrad: Reddi et al. 2018.

    Args:
        lr: learning rate, a number or a schedule from `optim.schedules`, default 1e-3.
        betas: how much of the old moments is kept, two numbers below 1, default (0.9, 0.999).
        eps: added to the root, default 1e-8.
        weight_decay: of L2, added to the gradient, default 0.
        amsgrad: take the largest v so far, default False.
        eps_hat: add eps before the correction of the bias, as Keras and scikit-learn do, default False.
        clip_grad_norm: rescale the whole gradient to this Euclidean norm at most, default None: don't.
        clip_grad_value: limit every element of the gradient to ± this, default None: don't.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.Adam(3e-4)
        Adam(lr=0.0003)
    """

    op = adam_step
    decoupled = False

    def __init__(
        self,
        lr: LearningRate = 1e-3,
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
    """AdamW: p -= lr · weight_decay · p, then Adam's step (PyTorch's `optim.AdamW`).

    Source: Loshchilov and Hutter 2019.

    Args:
        lr: learning rate, a number or a schedule from `optim.schedules`, default 1e-3.
        betas: how much of the old moments is kept, two numbers below 1, default (0.9, 0.999).
        eps: added to the root, default 1e-8.
        weight_decay: decoupled from the gradient, default 1e-2.
        amsgrad: take the largest v so far, default False.
        eps_hat: add eps before the correction of the bias, as Keras does, default False.
        clip_grad_norm: rescale the whole gradient to this Euclidean norm at most, default None: don't.
        clip_grad_value: limit every element of the gradient to ± this, default None: don't.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.AdamW(3e-4)
        AdamW(lr=0.0003)
    """

    decoupled = True

    def __init__(
        self,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        eps_hat: bool = False,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            eps_hat=eps_hat,
            clip_grad_norm=clip_grad_norm,
            clip_grad_value=clip_grad_value,
        )
