"""Losses of class indices: softmax cross entropy, and the negative log likelihood of log probabilities."""

import numpy as np

from .contract import as_rows, index, op, positive


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
    counted = labels != ignore_index
    labels = np.where(counted, labels, 0)
    each = (
        counted.astype(np.float64)
        if sample_weight is None
        else counted * sample_weight.reshape(-1).astype(np.float64)
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
    entries = np.arange(len(rows)), labels
    loss[0] = -float((each * rows[entries]).sum()) / divisor
    if dpred is not None:
        dpred[...] = 0
        as_rows(dpred)[entries] = -each / divisor
