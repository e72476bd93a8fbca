"""Losses that compare prediction and target element by element: one op, the formulas in `formulas.py`."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from collections.abc import Collection
from typing import Any

import numpy as np

from ..checks import flag, real
from ..contract import Dims, as_rows, op, positive
from ..formulas import POINTWISE
from ..program import Builder, Tensor
from .base import REDUCTIONS, Loss, emit_loss, real_targets

KNOWN = (*REDUCTIONS, "batchmean")
REDUCED = {"half": "mean", "half_batchmean": "batchmean"}  # names of MSELoss, and what the op calls them


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
    rows, wanted = as_rows(pred), as_rows(target)
    each = np.ones(len(rows)) if sample_weight is None else sample_weight.reshape(-1).astype(np.float64)
    total = float(each.sum())
    count[0] = 1.0 if reduction == "sum" else total
    divisor = (count[0] * outputs if reduction == "mean" else count[0]) or 1.0
    formula = POINTWISE[kind]
    loss[0] = float((each * formula.value(rows, wanted, alpha).sum(axis=1, dtype=np.float64)).sum()) / divisor
    if dpred is not None:
        dpred[...] = (formula.slope(rows, wanted, alpha) * (each / divisor)[:, None]).reshape(pred.shape)


class PointwiseLoss(Loss):
    """Base of the pointwise losses. Network output and targets have the same shape (batch, ...).

    reduction "batchmean" divides by the (weighted) number of rows alone: the sum over a row's outputs.
    """

    kind = ""
    alpha = 1.0

    def __init__(self, reduction: str = "mean", known: Collection[str] = KNOWN) -> None:
        super().__init__(reduction, known)

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        return real_targets(type(self).__name__, y, output, dtype)

    def emit(
        self, builder: Builder, pred: Tensor, target: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        return emit_loss(
            "pointwise_loss",
            builder,
            pred,
            target=target,
            sample_weight=sample_weight,
            kind=self.kind,
            alpha=self.alpha,
            reduction=REDUCED.get(self.reduction, self.reduction),
        )

    def _positive(self, name: str, value: float) -> float:
        return self.number(name, value, 0, float("inf"), "a number above 0")


class MSELoss(PointwiseLoss):
    """Mean of (pred - target)²; reduction="half" or "half_batchmean": of ½ (pred - target)², the textbooks' loss."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction, (*REDUCTIONS, *REDUCED, "batchmean"))
        self.kind = "half_mse" if reduction in REDUCED else "mse"


class L1Loss(PointwiseLoss):
    """Mean of |pred - target|."""

    kind = "l1"


class HuberLoss(PointwiseLoss):
    """½ d² for d = |pred - target| ≤ delta, else delta (d - ½ delta); default delta 1."""

    kind = "huber"

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.alpha = self._positive("delta", delta)


class SmoothL1Loss(PointwiseLoss):
    """½ d²/beta for d = |pred - target| < beta, else d - ½ beta; default beta 1; beta 0 is L1Loss."""

    kind = "smooth_l1"

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        plain = real(beta) == 0
        self.kind = "l1" if plain else "smooth_l1"
        self.alpha = 1.0 if plain else self._positive("beta", beta)


class BCEWithLogitsLoss(PointwiseLoss):
    """Binary cross entropy of logits and targets in [0, 1]; pos_weight multiplies the positive class."""

    kind = "bce_with_logits"
    metric = "accuracy"

    def __init__(self, reduction: str = "mean", pos_weight: float = 1.0) -> None:
        super().__init__(reduction)
        self.alpha = self._positive("pos_weight", pos_weight)

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        target = super().targets(y, output, dtype)
        if target.size and not (target.min() >= 0 and target.max() <= 1):
            raise ValueError(
                f"BCEWithLogitsLoss: y reaches from {target.min()} to {target.max()}, expected values in [0, 1]"
            )
        return target

    def correct(self, pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        right = (pred > 0) == (target > 0.5)
        return np.asarray(right.all(axis=tuple(range(1, pred.ndim))))


class FocalLoss(BCEWithLogitsLoss):
    """Binary cross entropy that turns to the hard rows (Lin et al. 2017): p_t is weighed by (1 - p_t)^gamma, default 2.

    Network output: logits, one for each class; targets in [0, 1] of the same shape. gamma 0 is BCEWithLogitsLoss.
    """

    kind = "focal"

    def __init__(self, gamma: float = 2.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.alpha = self.number("gamma", gamma, -1e-300, float("inf"), "a number of at least 0")


class PoissonNLLLoss(PointwiseLoss):
    """e^pred - target pred (log_input=True, the default), or pred - target log(pred + eps).

    The constant log target!, which PyTorch adds with full=True, is always left out: it has no gradient.
    """

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.without_constant(full)
        self.kind = "poisson" if flag("PoissonNLLLoss: log_input", log_input) else "poisson_rate"
        self.alpha = self._positive("eps", eps)


class QuantileLoss(PointwiseLoss):
    """The pinball loss of one quantile in (0, 1), default the median."""

    kind = "quantile"

    def __init__(self, quantile: float = 0.5, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.alpha = self.number("quantile", quantile, 0, 1, "a number between 0 and 1")


class HingeLoss(PointwiseLoss):
    """max(0, margin - target pred) for targets -1 and 1, default margin 1."""

    kind = "hinge"

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.alpha = self._positive("margin", margin)

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        target = super().targets(y, output, dtype)
        if not (np.abs(target) == 1).all():
            raise ValueError(f"HingeLoss: y holds {target[np.abs(target) != 1][0]}, expected -1 and 1")
        return target
