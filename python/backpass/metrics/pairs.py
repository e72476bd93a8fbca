"""Pairs: what a metric reads of one output, predictions and targets side by side, a row for each that counts, and its weight."""

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from ..losses import Loss
from ..losses.base import ClassLoss


class Pairs(NamedTuple):
    """Predictions (M, ...), targets (M, ...) and weights (M,), None where all rows weigh 1."""

    pred: Any
    target: Any
    weight: np.ndarray | None

    def mean(self, each: np.ndarray) -> float:
        """The weighted mean of a number for each row; NaN of none."""
        weight = np.ones(len(each)) if self.weight is None else self.weight
        total = weight.sum()
        return float((weight * each).sum() / total) if total else float("nan")


def outputs_last(
    pred: np.ndarray, target: np.ndarray, weight: np.ndarray | None, along: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The same with the outputs, such as channels, in the last dimension instead of `along`; the weights are alike in all."""
    if along in (0, target.ndim - 1):
        return pred, target, weight
    if weight is not None:
        each = np.broadcast_to(
            weight.reshape(*weight.shape, *[1] * (target.ndim - weight.ndim)), target.shape
        )
        weight = each.take(0, axis=along)
    return np.moveaxis(pred, along, -1), np.moveaxis(target, along, -1), weight


def as_numbers(pred: np.ndarray, target: np.ndarray, weight: np.ndarray | None, padded: bool) -> Pairs:
    """(M, O) in float64. padded: whether a weight of 0 says that a row lies behind the end of a sequence.

    The last dimension holds the outputs. A weight for each element makes each a row of its own, as in the losses.
    """
    if weight is not None and weight.ndim < target.ndim - 1:
        rows = weight.reshape(*weight.shape, *[1] * (target.ndim - 1 - weight.ndim))
        weight = np.broadcast_to(rows, target.shape[:-1])
    columns = (
        1 if target.ndim == 1 or (weight is not None and weight.shape == target.shape) else target.shape[-1]
    )
    count = target.size // columns if columns else 0
    # A loss may take more outputs than targets, such as a mean and a variance.
    outputs = pred.size // count if count else columns
    pairs = Pairs(
        pred.reshape(count, outputs).astype(np.float64),
        target.reshape(count, columns).astype(np.float64),
        _flat(weight),
    )
    return _counted(pairs, padded)


def as_classes(
    loss: ClassLoss, pred: np.ndarray, target: np.ndarray, weight: np.ndarray | None, padded: bool
) -> Pairs:
    """Outputs (M, C) and class indices (M,), without the targets that the loss ignores."""
    labels = loss.labels(target)
    pairs = Pairs(pred.reshape(-1, pred.shape[-1]), labels.reshape(-1), _flat(weight))
    pairs = _counted(pairs, padded)
    known = (pairs.target >= 0) & (pairs.target < pred.shape[-1]) & (pairs.target != loss.ignore_index)
    return pairs if known.all() else _part(pairs, known)


def as_given(loss: Loss | None, pred: Any, target: Any, weight: np.ndarray | None, padded: bool) -> Pairs:
    """What a user's function gets, copies: classes row by row, all else as it is, unless rows have lengths: then the steps that
    count."""
    if isinstance(loss, ClassLoss):
        pairs = as_classes(loss, pred, target, weight, padded)
    elif padded:
        pairs = as_numbers(pred, target, weight, padded)
        pairs = pairs._replace(pred=pairs.pred.astype(pred.dtype), target=pairs.target.astype(target.dtype))
    else:
        pairs = Pairs(pred, target, weight)
    return Pairs(*deepcopy(tuple(pairs)))


def _flat(weight: np.ndarray | None) -> np.ndarray | None:
    return None if weight is None else weight.reshape(-1).astype(np.float64)


def _counted(pairs: Pairs, padded: bool) -> Pairs:
    """Without the rows behind the ends of sequences; weights that are all 1 then are none."""
    if not padded or pairs.weight is None:
        return pairs
    pairs = _part(pairs, pairs.weight > 0)
    return pairs._replace(weight=None) if pairs.weight is not None and (pairs.weight == 1).all() else pairs


def _part(pairs: Pairs, which: np.ndarray) -> Pairs:
    return Pairs(
        pairs.pred[which], pairs.target[which], None if pairs.weight is None else pairs.weight[which]
    )
