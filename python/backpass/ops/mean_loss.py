"""The end of losses: the mean over rows of one that is written as an expression, and the sum of several; in double."""

import numpy as np

from .contract import op, positive


@op(
    "pred[B] sample_weight[B]? -> loss[1]:float64 count[1]:float64 dpred[B]?",
    samples={"sample_weight": positive, "rows": [0, 7]},
)
def mean_loss(pred, sample_weight, loss, count, dpred, rows: int = 0):
    """loss = Σ_b w_b pred_b / Σ_b w_b, count = Σ_b w_b, or rows if that is not 0; dpred = w_b / Σ_b w_b."""
    weight = np.ones(len(pred)) if sample_weight is None else sample_weight.astype(np.float64)
    total = float(weight.sum())
    count[0] = rows or total
    divisor = total or 1.0
    loss[0] = float((weight * pred).sum()) / divisor
    if dpred is not None:
        dpred[...] = weight / divisor


@op("part[1]:float64 before[1]:float64? -> loss[1]:float64")
def sum_losses(part, before, loss, weight: float = 1.0):
    """loss = before + weight * part: what the losses of several outputs add up to, one after the other."""
    loss[0] = (0.0 if before is None else before[0]) + weight * part[0]
