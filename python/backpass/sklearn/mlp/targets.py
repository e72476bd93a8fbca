"""Losses by name, targets in the form that the loss wants, and weights of the rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax, xlogy

from ... import nn
from ...losses import Loss

OUTPUT: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # out_activation_
    "identity": lambda z: z,
    "logistic": expit,
    "softmax": lambda z: softmax(z, axis=1),
    "exp": np.exp,
}
REGRESSION: dict[str, Callable[[], Loss]] = {
    "squared_error": lambda: nn.MSELoss(reduction="half_batchmean"),
    "poisson": lambda: nn.PoissonNLLLoss(reduction="batchmean"),
    "absolute_error": nn.L1Loss, "mae": nn.L1Loss, "huber": nn.HuberLoss, "quantile": nn.QuantileLoss,
}  # fmt: skip
CLASSIFICATION = ("log_loss", "focal")
NOT_OF_LOGITS = (
    *(nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.SmoothL1Loss, nn.QuantileLoss, nn.PoissonNLLLoss),
    *(nn.GaussianNLLLoss, nn.NLLLoss, nn.HingeLoss),
)


@dataclass
class Task:
    """Targets, weights, and the terms by which scikit-learn's loss differs from ours."""

    target: np.ndarray
    weight: np.ndarray | None
    share: float = 1.0  # of the data's loss that counts: squared errors are averaged over the outputs, their gradients are not
    offset: np.ndarray | None = None  # what the loss of each row lacks, a constant

    def of(self, rows: np.ndarray) -> "Task":
        """Task of some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        offset = None if self.offset is None else self.offset[rows]
        return Task(np.ascontiguousarray(self.target[rows]), weight, self.share, offset)

    def mean_offset(self, order: np.ndarray | None = None, batch: int | None = None) -> float:
        """Mean offset of an epoch: a batch averages by the weights of its rows, the epoch by the rows of its batches."""
        if self.offset is None:
            return 0.0
        if self.weight is None:
            return float(self.offset.mean())
        order = np.arange(len(self.offset)) if order is None else order
        starts = np.arange(0, len(order), batch or len(order))
        total = np.add.reduceat(self.weight[order], starts)
        means = np.add.reduceat((self.weight * self.offset)[order], starts) / np.where(total == 0, 1, total)
        return float(np.average(means, weights=np.diff([*starts, len(order)])))


def regression_loss(loss: Any) -> tuple[Loss | Callable[..., Any], str]:
    """Loss object of a regressor's parameter, and the activation of its output."""
    function = REGRESSION[loss]() if isinstance(loss, str) else loss
    return function, "exp" if getattr(function, "kind", "") == "poisson" else "identity"


def regression_task(loss: Any, y: np.ndarray, weight: np.ndarray | None, dtype: Any) -> Task:
    """Targets of a regressor; y (N, outputs)."""
    if loss == "poisson":
        if (y < 0).any():
            raise ValueError(f"y holds {y.min()}, expected values of at least 0 for loss='poisson'")
        wide = y.astype(np.float64)
        return Task(cast(y, dtype), weight, offset=(xlogy(wide, wide) - wide).sum(axis=1))
    return Task(cast(y, dtype), weight, 1 / y.shape[1] if loss == "squared_error" else 1.0)


def classification_loss(
    loss: Any, multiclass: bool, smoothing: float
) -> tuple[Loss | Callable[..., Any], str]:
    """Loss object of a classifier's parameter, and the activation of its output."""
    if type(loss) in NOT_OF_LOGITS:
        raise ValueError(
            f"loss is {type(loss).__name__}, which is not for logits and classes: expected CrossEntropyLoss,"
            " BCEWithLogitsLoss or FocalLoss"
        )
    if smoothing and not isinstance(loss, str | nn.BCEWithLogitsLoss):
        raise ValueError(
            f"label_smoothing is {smoothing}, but the loss is an object or a callable of its own, expected one that"
            f" smooths by itself, such as CrossEntropyLoss(label_smoothing={smoothing})"
        )
    if loss == "log_loss":
        if multiclass:
            return nn.CrossEntropyLoss(label_smoothing=smoothing), "softmax"
        return nn.BCEWithLogitsLoss(reduction="batchmean"), "logistic"
    if loss == "focal":
        return nn.FocalLoss(reduction="batchmean"), "logistic"
    if isinstance(loss, nn.CrossEntropyLoss) and not multiclass:
        raise ValueError(
            "loss is CrossEntropyLoss, but y has two classes or several labels: expected BCEWithLogitsLoss"
        )
    return loss, "softmax" if multiclass and not isinstance(loss, nn.BCEWithLogitsLoss) else "logistic"


def classification_task(
    loss: Loss | Callable[..., Any],
    onehot: np.ndarray,
    weight: np.ndarray | None,
    smoothing: float,
    dtype: Any,
) -> Task:
    """Targets of a classifier: class indices for cross entropy, else one column for each output."""
    if isinstance(loss, nn.CrossEntropyLoss):
        return Task(onehot.argmax(axis=1).astype(np.int64), weight)
    soft = onehot * (1 - smoothing) + smoothing / 2
    return Task(cast(soft, dtype), weight)


def cast(y: np.ndarray, dtype: Any) -> np.ndarray:
    """C-contiguous array of the model's dtype."""
    return np.ascontiguousarray(y, dtype=dtype)
