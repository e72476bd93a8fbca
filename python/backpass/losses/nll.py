"""Negative log likelihood of class indices, for a network that ends in LogSoftmax."""

import numpy as np

from ..contract import as_rows, index, op, positive
from ..program import Builder, Tensor
from .base import ClassLoss, emit_loss


@op(
    "pred[*,C] target[*]:int64 weight[C]? sample_weight[*]? -> loss[1]:float64 count[1]:float64 dpred[*,C]?",
    samples={
        "target": index("C"),
        "weight": positive,
        "sample_weight": positive,
        "reduction": ["mean", "sum"],
        "ignore_index": [-100, 0],
    },
)
def nll(
    pred, target, weight, sample_weight, loss, count, dpred, reduction: str = "mean", ignore_index: int = -100
):
    """loss = -Σ_b w_b pred[b, target_b] / count, w_b = sample_weight weight[target_b], count = Σ_b w_b, or 1 for "sum"."""
    rows, labels = as_rows(pred), target.reshape(-1)
    each = (labels != ignore_index).astype(np.float64)
    labels = np.where(labels != ignore_index, labels, 0)
    if weight is not None:
        each = each * weight[labels]
    if sample_weight is not None:
        each = each * sample_weight.reshape(-1)
    total = float(each.sum())
    count[0] = total if reduction == "mean" else 1.0
    divisor = (total or 1.0) if reduction == "mean" else 1.0
    at = np.arange(len(rows)), labels
    loss[0] = -float((each * rows[at]).sum()) / divisor
    if dpred is not None:
        dpred[...] = 0
        as_rows(dpred)[at] = -each / divisor


class NLLLoss(ClassLoss):
    """-log p of the true class, from log probabilities (PyTorch's `nn.NLLLoss`); arguments as in CrossEntropyLoss."""

    def emit(
        self, builder: Builder, pred: Tensor, target: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        return emit_loss(
            "nll",
            builder,
            pred,
            target=target,
            weight=self.weight_of(builder),
            sample_weight=sample_weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
        )
