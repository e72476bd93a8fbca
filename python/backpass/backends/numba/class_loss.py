"""Losses of class indices: value and gradient in one pass over the rows, sums in float64."""

from typing import Any

import numpy as np

from ...ops.contract import as_rows
from .compiler import Bound, flat, jit, jit_sums, maybe
from .scalars import exp


@jit
def _row_weight(r, target, ignored, classes, weight, sample_weight):
    """(sample weight, class weight) of a row; the sample weight of an ignored one is 0."""
    label = target[r]
    if label == ignored:
        return 0.0, 0.0
    if label < 0 or label >= classes:
        raise IndexError("a target is not a class index")
    per_sample = 1.0 if sample_weight is None else np.float64(sample_weight[r])
    per_class = 1.0 if weight is None else np.float64(weight[label])
    return per_sample, per_class


@jit
def _divisor(target, ignored, classes, weight, sample_weight, mean, count):
    """Sets count; returns what the sums are divided by."""
    total = 0.0
    for r in range(target.size):
        per_sample, per_class = _row_weight(r, target, ignored, classes, weight, sample_weight)
        total += per_sample * per_class
    count[0] = total if mean else 1.0
    return 1.0 if count[0] == 0 else count[0]


@jit_sums
def _softmax_cross_entropy(pred, target, weight, sample_weight, loss, count, dpred, smoothing, mean, ignored):
    dtype = pred.dtype.type
    classes = pred.shape[1]
    divisor = _divisor(target, ignored, classes, weight, sample_weight, mean, count)
    spread = smoothing / max(classes, 1)
    everywhere = 0.0  # what smoothing adds to the sum of q
    for c in range(classes):
        everywhere += spread if weight is None else spread * weight[c]
    value = 0.0
    for r in range(target.size):
        if target[r] == ignored:
            if dpred is not None:
                dpred[r, :] = 0
            continue
        label = target[r]
        per_sample, per_class = _row_weight(r, target, ignored, classes, weight, sample_weight)
        high = dtype(-np.inf)
        for c in range(classes):
            high = max(high, pred[r, c])
        norm = 0.0
        for c in range(classes):
            e = exp(pred[r, c] - high)
            norm += e
            if dpred is not None:
                dpred[r, c] = e
        peak = (1 - smoothing) * per_class
        log_norm = np.log(norm)
        term = 0.0 if peak == 0 else peak * (pred[r, label] - high - log_norm)
        if spread != 0:
            for c in range(classes):
                q = spread if weight is None else spread * weight[c]
                term += 0.0 if q == 0 else q * (pred[r, c] - high - log_norm)
        value -= per_sample * term
        if dpred is not None:
            scale = per_sample / divisor
            factor, floor = dtype((everywhere + peak) / norm * scale), dtype(spread * scale)
            for c in range(classes):
                dpred[r, c] = dpred[r, c] * factor - (floor if weight is None else floor * weight[c])
            dpred[r, label] -= dtype(peak * scale)
    loss[0] = value / divisor


@jit
def _nll(pred, target, weight, sample_weight, loss, count, dpred, mean, ignored):
    divisor = _divisor(target, ignored, pred.shape[1], weight, sample_weight, mean, count)
    value = 0.0
    for r in range(target.size):
        if dpred is not None:
            dpred[r, :] = 0
        if target[r] != ignored:
            per_sample, per_class = _row_weight(r, target, ignored, pred.shape[1], weight, sample_weight)
            value -= per_sample * per_class * pred[r, target[r]]
            if dpred is not None:
                dpred[r, target[r]] = -per_sample * per_class / divisor
    loss[0] = value / divisor


def _by_class(pred, target, weight, sample_weight, loss, count, dpred) -> tuple[Any, ...]:
    """What all losses of class indices take."""
    return as_rows(pred), flat(target), weight, maybe(flat, sample_weight), loss, count, maybe(as_rows, dpred)


def softmax_cross_entropy(
    pred, target, weight, sample_weight, loss, count, dpred, label_smoothing, reduction, ignore_index
) -> Bound:
    return _softmax_cross_entropy, (
        *_by_class(pred, target, weight, sample_weight, loss, count, dpred),
        *(label_smoothing, reduction == "mean", ignore_index),
    )


def nll(pred, target, weight, sample_weight, loss, count, dpred, reduction, ignore_index) -> Bound:
    return _nll, (
        *_by_class(pred, target, weight, sample_weight, loss, count, dpred),
        *(reduction == "mean", ignore_index),
    )
