"""RMSprop (Hinton 2012; centered: Graves 2013), as in PyTorch: eps outside the root, lr outside the momentum buffer."""

import math

from ..checks import flag
from ..ops import rmsprop_step
from .optimizer import LearningRate, Optimizer


class RMSprop(Optimizer):
    """RMSprop: v = alpha · v + (1 - alpha) g²; p -= lr · g / (√v + eps) (PyTorch's `optim.RMSprop`).

    Source: Tieleman and Hinton 2012.

    Args:
        lr: learning rate, a number or a schedule from `optim.schedules`, default 1e-2.
        alpha: how much of the old average is kept, in [0, 1], default 0.99.
        eps: added to the root, default 1e-8.
        weight_decay: of L2, added to the gradient, default 0.
        momentum: of the step, in [0, 1], default 0.
        centered: take the mean of the gradient off its square, default False.
        eps_inside: g / √(v + eps), as in Keras, default False.
        lr_in_velocity: whether the velocity of a momentum holds lr, as in Keras, default False. It differs where lr changes.
        clip_grad_norm: rescale the whole gradient to this Euclidean norm at most, default None: don't.
        clip_grad_value: limit every element of the gradient to ± this, default None: don't.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> optim.RMSprop()
        RMSprop(lr=0.01)
    """

    op = rmsprop_step

    def __init__(
        self,
        lr: LearningRate = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        eps_inside: bool = False,
        lr_in_velocity: bool = False,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        super().__init__(lr, clip_grad_norm, clip_grad_value)
        self.scalars |= {
            "alpha": self.number("alpha", alpha, 0, 1),
            "eps": self.number("eps", eps, 0, math.inf),
            "weight_decay": self.number("weight_decay", weight_decay, 0, math.inf),
            "momentum": self.number("momentum", momentum, 0, math.inf),
            "eps_inside": flag("RMSprop: eps_inside", eps_inside),
            "lr_in_velocity": flag("RMSprop: lr_in_velocity", lr_in_velocity),
        }
        optional_slots = {
            "grad_avg": flag("RMSprop: centered", centered),
            "velocity": self.scalars["momentum"] > 0,
        }
        self.slots = ("v", *(slot for slot, used in optional_slots.items() if used))
