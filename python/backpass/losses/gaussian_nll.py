"""Gaussian negative log likelihood: the network predicts a mean and a variance for each target."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

from typing import Any

import numpy as np

from ..contract import Dims, as_rows, op, positive
from ..program import Builder, Tensor
from .base import Loss, emit_loss, real_targets


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
    pairs, wanted = as_rows(pred, 2), as_rows(target)
    each = np.ones(len(pairs)) if sample_weight is None else sample_weight.reshape(-1).astype(np.float64)
    total = float(each.sum())
    count[0] = total if reduction == "mean" else 1.0
    divisor = (total * outputs or 1.0) if reduction == "mean" else 1.0
    error, v = pairs[:, 0] - wanted, np.maximum(pairs[:, 1], eps)
    value = 0.5 * (np.log(v) + error * error / v)
    loss[0] = float((each * value.sum(axis=1, dtype=np.float64)).sum()) / divisor
    if dpred is not None:
        scale = (each / divisor)[:, None]
        slopes = as_rows(dpred, 2)
        slopes[:, 0] = scale * (error / v)
        slopes[:, 1] = scale * (0.5 * (1 / v - error * error / (v * v)))


class GaussianNLLLoss(Loss):
    """½ (log v + (target - mean)²/v) (PyTorch's `nn.GaussianNLLLoss`, its constant left out).

    The network has twice as many outputs as there are targets: first the means, then the variances v, which are clamped
    to eps (default 1e-6) from below. full=True, PyTorch's constant, is refused: it has no gradient.

    Shapes: network output (batch, 2 D), targets (batch, D).
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
            "gaussian_nll",
            builder,
            pairs,
            target=target,
            sample_weight=sample_weight,
            eps=self.eps,
            reduction=self.reduction,
        )
