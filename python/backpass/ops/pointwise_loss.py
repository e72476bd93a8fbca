"""Losses of real targets: element by element, and the Gaussian likelihood of means and variances."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from typing import Any

import numpy as np

from .contract import Dims, as_rows, op, positive
from .formulas import POINTWISE


def _positive_for_rate(rng: np.random.Generator, shape: tuple[int, ...], dims: Dims) -> Any:
    return rng.uniform(0.1, 2.0, shape)


@op(
    "pred[*,O] target[*,O] sample_weight[*]? -> loss[1]:float64 count[1]:float64 dpred[*,O]?",
    samples={
        "pred": _positive_for_rate,  # poisson_rate needs a positive prediction
        "target": _positive_for_rate,
        "sample_weight": positive,
        "kind": [*POINTWISE],
        "alpha": [0.7],
        "reduction": ["mean", "sum", "batchmean"],
    },
)
def pointwise_loss(
    pred, target, sample_weight, loss, count, dpred, kind: str, alpha: float = 1.0, reduction: str = "mean"
):
    """loss = Σ_bo w_b f(pred_bo, target_bo) / (count O); count = Σ_b w_b.

    "batchmean" divides by count alone; "sum" by nothing, count = 1.
    """
    outputs = pred.shape[-1]
    rows, targets = as_rows(pred), as_rows(target)
    each = np.ones(len(rows)) if sample_weight is None else sample_weight.reshape(-1).astype(np.float64)
    total = float(each.sum())
    count[0] = 1.0 if reduction == "sum" else total
    divisor = (count[0] * outputs if reduction == "mean" else count[0]) or 1.0
    formula = POINTWISE[kind]
    loss[0] = (
        float((each * formula.value(rows, targets, alpha).sum(axis=1, dtype=np.float64)).sum()) / divisor
    )
    if dpred is not None:
        dpred[...] = (formula.slope(rows, targets, alpha) * (each / divisor)[:, None]).reshape(pred.shape)


def _mean_and_variance(rng: np.random.Generator, shape: tuple[int, ...], dims: Dims) -> Any:
    return rng.uniform(0.1, 2.0, shape)


@op(
    "pred[*,2,O] target[*,O] sample_weight[*]? -> loss[1]:float64 count[1]:float64 dpred[*,2,O]?",
    samples={
        "pred": _mean_and_variance,
        "sample_weight": positive,
        "eps": [1e-6],
        "reduction": ["mean", "sum"],
    },
)
def gaussian_nll(pred, target, sample_weight, loss, count, dpred, eps: float = 1e-6, reduction: str = "mean"):
    """loss = Σ w ½ (log v + (target - mean)²/v) / (count O), mean = pred[..., 0, :], v = max(pred[..., 1, :], eps).

    As in PyTorch the clamp is left out of the gradient of v.
    """
    outputs = pred.shape[-1]
    pairs, targets = as_rows(pred, 2), as_rows(target)
    each = np.ones(len(pairs)) if sample_weight is None else sample_weight.reshape(-1).astype(np.float64)
    total = float(each.sum())
    count[0] = total if reduction == "mean" else 1.0
    divisor = (total * outputs or 1.0) if reduction == "mean" else 1.0
    error, v = pairs[:, 0] - targets, np.maximum(pairs[:, 1], eps)
    value = 0.5 * (np.log(v) + error * error / v)
    loss[0] = float((each * value.sum(axis=1, dtype=np.float64)).sum()) / divisor
    if dpred is not None:
        scale = (each / divisor)[:, None]
        slopes = as_rows(dpred, 2)
        slopes[:, 0] = scale * (error / v)
        slopes[:, 1] = scale * (0.5 * (1 / v - error * error / (v * v)))
