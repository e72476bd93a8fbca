"""Negative log likelihood of class indices, for a network that ends in LogSoftmax."""

import numpy as np

from ..ops import nll
from ..program import Builder, Tensor
from .base import ClassLoss, emit_loss


class NLLLoss(ClassLoss):
    """Negative log likelihood: -log p of the true class, from log probabilities (PyTorch's `nn.NLLLoss`).

    Args:
        weight: (C,) a weight for each class, default all 1.
        ignore_index: rows with this target count nothing, default -100.
        reduction: "mean" (default; divided by the sum of the weights) or "sum".

    Shapes: network output (N, ..., C) log probabilities, as nn.LogSoftmax gives them; targets (N, ...) integers 0 to C - 1.

    Raises:
        ValueError: an argument out of range; a target that is no class; weights of another number of classes.

    Example:
        >>> bp.Model(nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax()), nn.NLLLoss())
        Model(...)
    """

    wants = "log probabilities"

    def emit(
        self, builder: Builder, pred: Tensor, target: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        return emit_loss(
            nll,
            builder,
            pred,
            target=target,
            weight=self.weight_of(builder),
            sample_weight=sample_weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
        )
