"""Stochastic gradient descent with momentum (Polyak 1964) and Nesterov's form (Sutskever et al. 2013), as in PyTorch."""

import math

from ..checks import flag
from ..ops import sgd_step
from .optimizer import LearningRate, Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent: g += weight_decay · p; v = momentum · v + (1 - dampening) g; p -= lr · v.

    Without momentum p -= lr · g. PyTorch's `optim.SGD`. Sources: Polyak 1964 (momentum), Sutskever et al. 2013 (Nesterov).

    Args:
        lr: learning rate, a number or a schedule from `optim.schedules`, default 1e-3.
        momentum: in [0, 1], default 0.
        dampening: in [0, 1], default 0.
        weight_decay: of L2, added to the gradient, default 0.
        nesterov: step along g + momentum · v, default False; needs a momentum and no dampening.
        lr_in_velocity: v = momentum · v + lr · g and p -= v, as Keras and scikit-learn do, default False. It differs where lr
            changes.
        clip_grad_norm: rescale the whole gradient to this Euclidean norm at most, default None: don't.
        clip_grad_value: limit every element of the gradient to ± this, default None: don't.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.SGD(0.1, momentum=0.9, nesterov=True)
        SGD(lr=0.1, momentum=0.9, nesterov=True)
    """

    op = sgd_step

    def __init__(
        self,
        lr: LearningRate = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        lr_in_velocity: bool = False,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(lr, clip_grad_norm, clip_grad_value)
        self.scalars |= {
            "momentum": self.number("momentum", momentum, 0, 1),
            "dampening": self.number("dampening", dampening, 0, 1),
            "weight_decay": self.number("weight_decay", weight_decay, 0, math.inf),
            "nesterov": flag("SGD: nesterov", nesterov),
            "lr_in_velocity": flag("SGD: lr_in_velocity", lr_in_velocity),
        }
        self.slots = ("velocity",) if self.scalars["momentum"] else ()
        if self.scalars["nesterov"] and (momentum <= 0 or dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening")
