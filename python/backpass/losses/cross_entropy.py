"""Softmax and cross entropy in one op: the gradient is simply softmax(pred) - target."""

from typing import Any

import numpy as np

from ..contract import as_rows, index, op, positive
from ..program import Builder, Tensor
from .base import ClassLoss, emit_loss, probabilities


@op(
    "pred[*,C] target[*]:int64 weight[C]? sample_weight[*]? -> loss[1]:float64 count[1]:float64 dpred[*,C]?",
    samples={
        "target": index("C"),
        "weight": positive,
        "sample_weight": positive,
        "label_smoothing": [0.0, 0.1],
        "reduction": ["mean", "sum"],
        "ignore_index": [-100, 0],
    },
)
def softmax_cross_entropy(
    pred,
    target,
    weight,
    sample_weight,
    loss,
    count,
    dpred,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    ignore_index: int = -100,
):
    """loss = Σ_b w_b (-Σ_c q_bc log softmax(pred_b)_c) / count, q = (1-ε) onehot(target) weight + ε/C weight.

    w_b is sample_weight, zero where target is ignore_index; count = Σ_b w_b weight[target_b] (PyTorch's mean), or 1 for "sum".
    """
    classes = pred.shape[-1]
    rows, labels = as_rows(pred), target.reshape(-1)
    used = labels != ignore_index
    labels = np.where(used, labels, 0)
    each = (
        used.astype(np.float64)
        if sample_weight is None
        else used * sample_weight.reshape(-1).astype(np.float64)
    )
    per_class = np.ones(classes) if weight is None else weight
    total = float((each * per_class[labels]).sum())
    divisor = total if reduction == "mean" else 1.0
    count[0] = total if reduction == "mean" else 1.0
    q = np.zeros_like(rows) + label_smoothing / max(classes, 1) * per_class.astype(rows.dtype)
    q[np.arange(len(rows)), labels] += (1 - label_smoothing) * per_class[labels].astype(rows.dtype)
    shifted = rows - rows.max(axis=1, keepdims=True, initial=-np.inf)
    exp = np.exp(shifted)
    norm = exp.sum(axis=1, keepdims=True)
    terms = np.where(
        q == 0, 0, q * (shifted - np.log(norm))
    )  # a logit of -inf that is not asked for costs nothing
    loss[0] = -float((each * terms.sum(axis=1)).sum()) / (divisor or 1.0)
    if dpred is not None:
        slope = exp / norm * q.sum(axis=1, keepdims=True) - q
        dpred[...] = (slope * (each / (divisor or 1.0))[:, None]).reshape(pred.shape)


class CrossEntropyLoss(ClassLoss):
    """Cross entropy of logits and class indices, or class probabilities (PyTorch's `nn.CrossEntropyLoss`).

    Args:
        weight: (C,) a weight for each class, default all 1.
        ignore_index: rows with this target count nothing, default -100.
        reduction: "mean" (divided by the sum of the weights; for probabilities by the number of rows, as in PyTorch) or "sum".
        label_smoothing: ε in [0, 1], default 0.

    Shapes: network output (batch, ..., C), targets (batch, ...) integers or (batch, ..., C) floating-point numbers of at
    least 0 whose sum over the classes is 1.
    """

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, ignore_index, reduction)
        self.label_smoothing = self.number(
            "label_smoothing", label_smoothing, -1e-300, 1 + 1e-15, "a number in [0, 1]"
        )

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Class indices; or probabilities q as what multiplies the logarithms, weight ((1-ε) q + ε/C)."""
        given = np.asarray(y)
        if (
            given.dtype.kind != "f"
            or given.ndim != len(output) + 1
            or given.shape[1:] != output
            or output[-1] == 1
        ):
            return super().targets(y, output, dtype)
        q = probabilities(type(self).__name__, given)
        q = (1 - self.label_smoothing) * q + self.label_smoothing / output[-1]
        weight = self.checked_weight(output)
        return np.ascontiguousarray(q if weight is None else q * weight, dtype)

    def correct(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        if target.dtype == np.int64:
            return super().correct(pred, target)
        q = target if self.weight is None else target / np.where(self.weight > 0, self.weight, 1)
        return super().correct(pred, q.argmax(axis=-1))

    def emit(
        self, builder: Builder, pred: Tensor, target: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        if target.dtype != np.int64:
            return emit_loss(
                "pointwise_loss",
                builder,
                builder.emit("softmax_forward", x=pred, log=True),
                target=target,
                sample_weight=sample_weight,
                kind="soft_nll",
                reduction="batchmean" if self.reduction == "mean" else self.reduction,
            )
        return emit_loss(
            "softmax_cross_entropy",
            builder,
            pred,
            target=target,
            weight=self.weight_of(builder),
            sample_weight=sample_weight,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
        )
