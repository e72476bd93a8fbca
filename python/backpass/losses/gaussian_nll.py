"""Gaussian negative log likelihood: the network predicts a mean and a variance for each target."""

from typing import Any

import numpy as np

from ..ops import gaussian_nll
from ..program import Builder, Tensor
from .base import Loss, emit_loss, real_targets


class GaussianNLLLoss(Loss):
    """Gaussian negative log likelihood: ½ (log v + (target - mean)²/v), its constant left out (PyTorch's `nn.GaussianNLLLoss`).

    The network has twice as many outputs as there are targets: first the means, then the variances v.

    Args:
        full: False (default): the constant is left out, for it has no gradient; True is refused.
        eps: what v is clamped to from below, above 0, default 1e-6; as in PyTorch the clamp is left out of the gradient.
        reduction: "mean" (default) or "sum".

    Shapes: network output (N, 2 D), targets (N, D).

    Raises:
        ValueError: an argument out of range, full=True, an odd number of outputs.

    Example:
        >>> nn.GaussianNLLLoss()
        GaussianNLLLoss()
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.without_constant(full)
        self.eps = self.number("eps", eps, 0, float("inf"), "a number above 0")

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        if output[-1] % 2:
            raise ValueError(
                f"GaussianNLLLoss: the network has {output[-1]} outputs, expected an even number: means, then variances"
            )
        return real_targets("GaussianNLLLoss", y, (*output[:-1], output[-1] // 2), dtype)

    def emit(
        self, builder: Builder, pred: Tensor, target: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        pairs = builder.reshape(pred, (*pred.shape[:-1], 2, pred.shape[-1] // 2))
        return emit_loss(
            gaussian_nll,
            builder,
            pairs,
            target=target,
            sample_weight=sample_weight,
            eps=self.eps,
            reduction=self.reduction,
        )
