"""Losses: PyTorch's class names, and the strings that `bp.Model(loss=...)` takes."""

from collections.abc import Callable
from typing import Any

from .base import Loss
from .cross_entropy import CrossEntropyLoss
from .gaussian_nll import GaussianNLLLoss
from .mixed import emit_mixed
from .nll import NLLLoss
from .pointwise import (
    BCEWithLogitsLoss,
    FocalLoss,
    HingeLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    PoissonNLLLoss,
    QuantileLoss,
    SmoothL1Loss,
)

__all__ = [
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "FocalLoss",
    "GaussianNLLLoss",
    "HingeLoss",
    "HuberLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "QuantileLoss",
    "SmoothL1Loss",
    "by_name",
    "emit_mixed",
]

NAMES: dict[str, Callable[[], Loss]] = {
    "cross_entropy": CrossEntropyLoss,
    "mse": MSELoss,
    "mae": L1Loss,
    "l1": L1Loss,
    "huber": HuberLoss,
    "smooth_l1": SmoothL1Loss,
    "bce_with_logits": BCEWithLogitsLoss,
    "nll": NLLLoss,
    "poisson": PoissonNLLLoss,
    "gaussian_nll": GaussianNLLLoss,
    "quantile": QuantileLoss,
    "hinge": HingeLoss,
    "focal": FocalLoss,
}


def by_name(loss: Any) -> Loss:
    """A loss object for a loss object or a name."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) and loss in NAMES:
        return NAMES[loss]()
    raise ValueError(
        f"loss is {loss!r}, expected one of {sorted(NAMES)}, a loss object, or a callable (pred, y) -> (value, grad)"
    )
