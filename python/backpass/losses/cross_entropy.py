"""Softmax and cross entropy in one op: the gradient is simply softmax(pred) - target."""

from typing import Any

import numpy as np

from ..ops import argmax, pointwise_loss, softmax_cross_entropy, softmax_forward
from ..program import Builder, Tensor, call
from ..system.memory import aligned
from .base import ClassLoss, emit_correct, emit_loss, probabilities


class CrossEntropyLoss(ClassLoss):
    """Cross entropy of logits: -log softmax(pred) of the true class (PyTorch's `nn.CrossEntropyLoss`).

    Args:
        weight: (C,) a weight for each class, default all 1.
        ignore_index: rows with this target count nothing, default -100.
        reduction: "mean" (default; divided by the sum of the weights, for probabilities by the number of rows) or "sum".
        label_smoothing: ε in [0, 1], default 0: the target is (1 - ε) onehot + ε/C.

    Shapes: network output (N, ..., C) logits. Targets (N, ...) integers 0 to C - 1, (N, ..., C) one-hot integers, or
    (N, ..., C) floating-point probabilities whose sum over the classes is 1.

    Raises:
        ValueError: an argument out of range; a target that is no class; weights of another number of classes.

    Example:
        >>> nn.CrossEntropyLoss(label_smoothing=0.1)
        CrossEntropyLoss(label_smoothing=0.1)
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
        targets = np.asarray(y)
        if (
            targets.dtype.kind != "f"
            or targets.ndim != len(output) + 1
            or targets.shape[1:] != output
            or output[-1] == 1
        ):
            return super().targets(y, output, dtype)
        q = probabilities(type(self).__name__, targets)
        q = (1 - self.label_smoothing) * q + self.label_smoothing / output[-1]
        weight = self.checked_weight(output)
        return np.ascontiguousarray(q if weight is None else q * weight, dtype)

    def labels(self, target: np.ndarray) -> np.ndarray:
        """Class indices; of probabilities the place of the largest, without the class weights that are in them."""
        if target.dtype == np.int64:
            return target
        weight = 1.0 if self.weight is None else np.where(self.weight == 0, 1, self.weight)
        return np.asarray((target / weight).argmax(axis=-1))

    def emit_metric(
        self,
        builder: Builder,
        pred: Tensor,
        target: np.ndarray,
        sample_weight: np.ndarray | None,
        correct: np.ndarray,
    ) -> None:
        if target.dtype != np.int64:
            divisor = self.weight_of(builder)
            if divisor is not None:
                divisor[divisor == 0] = 1
            largest = aligned(target.shape[:-1], np.int64)
            builder.instructions.append(call(argmax, x=target, divisor=divisor, largest=largest))
            target = largest
        emit_correct(builder, pred, target, sample_weight, correct, self.ignore_index)

    def emit(
        self, builder: Builder, pred: Tensor, target: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        if target.dtype != np.int64:
            return emit_loss(
                pointwise_loss,
                builder,
                builder.emit(softmax_forward, x=pred, log=True),
                target=target,
                sample_weight=sample_weight,
                kind="soft_nll",
                reduction="batchmean" if self.reduction == "mean" else self.reduction,
            )
        return emit_loss(
            softmax_cross_entropy,
            builder,
            pred,
            target=target,
            weight=self.weight_of(builder),
            sample_weight=sample_weight,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
        )
