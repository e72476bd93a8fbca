"""Losses that compare prediction and target element by element: one op, the formulas in ops/formulas.py."""

from collections.abc import Collection
from typing import Any, ClassVar

import numpy as np

from ..checks import flag, real
from ..ops import correct_logits, pointwise_loss
from ..program import Builder, Tensor, call
from .base import Loss, emit_loss, real_targets

# Names of MSELoss, and what the op calls them.
REDUCED = {"half": "mean", "half_batchmean": "batchmean"}


class PointwiseLoss(Loss):
    """Base of the pointwise losses. Network output and targets have the same shape (batch, ...).

    reduction "batchmean" divides by the (weighted) number of rows alone: the sum over a row's outputs.
    """

    reductions: ClassVar[Collection[str]] = ("mean", "sum", "batchmean")
    weighs_elements = True
    kind = ""
    _alpha = 1.0

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        return real_targets(type(self).__name__, y, output, dtype)

    def emit(
        self, builder: Builder, pred: Tensor, target: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        shape = _columns(target.shape, sample_weight)
        return emit_loss(
            pointwise_loss,
            builder,
            pred if pred.shape == shape else builder.reshape(pred, shape),
            target=target.reshape(shape),
            sample_weight=sample_weight,
            kind=self.kind,
            alpha=self._alpha,
            reduction=REDUCED.get(self.reduction, self.reduction),
        )

    def steps_along(self, pred: Tensor, target: np.ndarray) -> int:
        along = super().steps_along(pred, target)
        if along == len(target.shape) - 1 and "batchmean" in self.reduction:
            raise ValueError(
                f"{self!r}: reduction divides by the rows alone, but lengths is given and y has shape {target.shape}: expected"
                f" 'mean' or 'sum', or targets {(*target.shape, 1)}"
            )
        return along

    def _positive(self, name: str, value: float) -> float:
        return self.number(name, value, 0, float("inf"), "a number above 0")


def _columns(shape: tuple[int, ...], weight: np.ndarray | None) -> tuple[int, ...]:
    """(N, 1) for (N,): rows of one number; (N, T, 1) for (N, T) whose elements have a weight each."""
    apart = len(shape) == 1 or (weight is not None and weight.shape == shape)
    return (*shape, 1) if apart else shape


class MSELoss(PointwiseLoss):
    """Mean squared error: mean of (pred - target)² (PyTorch's `nn.MSELoss`).

    Args:
        reduction: "mean" (default), "sum", or "batchmean": divided by the weighted number of rows alone; "half" and
            "half_batchmean" of ½ (pred - target)², the loss of the textbooks.

    Shapes: network output and targets (N, ...) alike; targets (N,) serve for one output.

    Raises:
        ValueError: another reduction; targets of another shape.

    Example:
        >>> nn.MSELoss(reduction="half")
        MSELoss(reduction='half')
    """

    in_units_of_y = True
    reductions = ("mean", "sum", *REDUCED, "batchmean")

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.kind = "half_mse" if reduction in REDUCED else "mse"


class L1Loss(PointwiseLoss):
    """Mean absolute error: mean of |pred - target| (PyTorch's `nn.L1Loss`).

    Args:
        reduction: "mean" (default), "sum", or "batchmean": divided by the weighted number of rows alone.

    Shapes: network output and targets (N, ...) alike; targets (N,) serve for one output.

    Raises:
        ValueError: another reduction; targets of another shape.

    Example:
        >>> nn.L1Loss()
        L1Loss()
    """

    in_units_of_y = True
    kind = "l1"


class HuberLoss(PointwiseLoss):
    """Huber loss: ½ d² for d = |pred - target| ≤ delta, else delta (d - ½ delta) (Huber 1964; PyTorch's `nn.HuberLoss`).

    Args:
        reduction: "mean" (default), "sum", or "batchmean": divided by the weighted number of rows alone.
        delta: where the square ends, above 0, default 1.

    Shapes: network output and targets (N, ...) alike; targets (N,) serve for one output.

    Raises:
        ValueError: an argument out of range; targets of another shape.

    Example:
        >>> nn.HuberLoss(delta=0.5)
        HuberLoss(delta=0.5)
    """

    in_units_of_y = True
    kind = "huber"

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self._alpha = self._positive("delta", delta)


class SmoothL1Loss(PointwiseLoss):
    """Smooth L1 loss: ½ d²/beta for d = |pred - target| < beta, else d - ½ beta (Girshick 2015; PyTorch's `nn.SmoothL1Loss`).

    Args:
        reduction: "mean" (default), "sum", or "batchmean": divided by the weighted number of rows alone.
        beta: where the square ends, default 1; 0 is L1Loss.

    Shapes: network output and targets (N, ...) alike; targets (N,) serve for one output.

    Raises:
        ValueError: an argument out of range; targets of another shape.

    Example:
        >>> nn.SmoothL1Loss(beta=0.5)
        SmoothL1Loss(beta=0.5)
    """

    in_units_of_y = True
    kind = "smooth_l1"

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        plain = real(beta) == 0
        self.kind = "l1" if plain else "smooth_l1"
        self._alpha = 1.0 if plain else self._positive("beta", beta)


class BCEWithLogitsLoss(PointwiseLoss):
    """Binary cross entropy of logits: -w target log σ(pred) - (1 - target) log(1 - σ(pred)) (PyTorch's `nn.BCEWithLogitsLoss`).

    Args:
        reduction: "mean" (default), "sum", or "batchmean": divided by the weighted number of rows alone.
        pos_weight: w, what multiplies the positive class, above 0, default 1.

    Shapes: network output (N, ...) logits; targets alike, in [0, 1]; (N,) serves for one output.

    Raises:
        ValueError: an argument out of range; targets outside [0, 1].

    Example:
        >>> nn.BCEWithLogitsLoss(pos_weight=3.0)
        BCEWithLogitsLoss(pos_weight=3.0)
    """

    kind = "bce_with_logits"
    metric = "accuracy"
    wants = "logits"

    def __init__(self, reduction: str = "mean", pos_weight: float = 1.0) -> None:
        super().__init__(reduction)
        self._alpha = self._positive("pos_weight", pos_weight)

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        target = super().targets(y, output, dtype)
        if target.size and not (target.min() >= 0 and target.max() <= 1):
            raise ValueError(
                f"BCEWithLogitsLoss: y reaches from {target.min()} to {target.max()}, expected values in [0, 1]"
            )
        return target

    def emit_metric(
        self,
        builder: Builder,
        pred: Tensor,
        target: np.ndarray,
        sample_weight: np.ndarray | None,
        correct: np.ndarray,
    ) -> None:
        shape = _columns(target.shape, sample_weight)
        fields = {"pred": pred.array.reshape(shape), "target": target.reshape(shape), "correct": correct}
        builder.instructions.append(call(correct_logits, **fields, sample_weight=sample_weight))


class FocalLoss(BCEWithLogitsLoss):
    """Focal loss: binary cross entropy of logits, weighed by (1 - p_t)^gamma, so that hard rows count most (Lin et al. 2017).

    Args:
        gamma: at least 0, default 2; 0 is BCEWithLogitsLoss.
        reduction: "mean" (default), "sum", or "batchmean": divided by the weighted number of rows alone.

    Shapes: network output (N, ...) logits; targets alike, in [0, 1].

    Raises:
        ValueError: an argument out of range; targets outside [0, 1].

    Example:
        >>> nn.FocalLoss(1.0)
        FocalLoss(gamma=1.0)
    """

    kind = "focal"

    def __init__(self, gamma: float = 2.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._alpha = self.number("gamma", gamma, -1e-300, float("inf"), "a number of at least 0")


class PoissonNLLLoss(PointwiseLoss):
    """Poisson negative log likelihood: e^pred - target · pred, of a rate pred - target log(pred + eps).

    PyTorch's `nn.PoissonNLLLoss`.

    Args:
        log_input: whether the network gives the logarithm of the rate, default True.
        full: False (default): the constant log target! is left out, for it has no gradient; True is refused.
        eps: keeps the logarithm finite, above 0, default 1e-8.
        reduction: "mean" (default), "sum", or "batchmean": divided by the weighted number of rows alone.

    Shapes: network output and targets (N, ...) alike; targets are counts.

    Raises:
        ValueError: an argument out of range, full=True.

    Example:
        >>> nn.PoissonNLLLoss()
        PoissonNLLLoss()
    """

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.without_constant(full)
        self.kind = "poisson" if flag("PoissonNLLLoss: log_input", log_input) else "poisson_rate"
        self._alpha = self._positive("eps", eps)


class QuantileLoss(PointwiseLoss):
    """Quantile loss: max(q (target - pred), (q - 1)(target - pred)), also called pinball loss (Koenker and Bassett 1978).

    Args:
        quantile: q, between 0 and 1, default the median 0.5.
        reduction: "mean" (default), "sum", or "batchmean": divided by the weighted number of rows alone.

    Shapes: network output and targets (N, ...) alike; targets (N,) serve for one output.

    Raises:
        ValueError: an argument out of range; targets of another shape.

    Example:
        >>> nn.QuantileLoss(0.9)
        QuantileLoss(quantile=0.9)
    """

    in_units_of_y = True
    kind = "quantile"

    def __init__(self, quantile: float = 0.5, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._alpha = self.number("quantile", quantile, 0, 1, "a number between 0 and 1")


class HingeLoss(PointwiseLoss):
    """Hinge loss: max(0, margin - target · pred), of targets -1 and 1.

    Args:
        margin: above 0, default 1.
        reduction: "mean" (default), "sum", or "batchmean": divided by the weighted number of rows alone.

    Shapes: network output and targets (N, ...) alike.

    Raises:
        ValueError: an argument out of range; targets other than -1 and 1.

    Example:
        >>> nn.HingeLoss()
        HingeLoss()
    """

    kind = "hinge"

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._alpha = self._positive("margin", margin)

    def targets(self, y: Any, output: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        target = super().targets(y, output, dtype)
        if not (np.abs(target) == 1).all():
            raise ValueError(f"HingeLoss: y holds {target[np.abs(target) != 1][0]}, expected -1 and 1")
        return target
