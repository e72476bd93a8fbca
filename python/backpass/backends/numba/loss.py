"""Softmax and the losses: value and gradient in one pass over the rows, sums in float64."""

from functools import cache
from typing import Any

import numpy as np

from ...contract import as_rows
from ...formulas import POINTWISE
from .compiler import Bound, flat, jit, jit_sums, maybe
from .scalars import exp

OPS = (
    "softmax_forward",
    "softmax_backward",
    "softmax_cross_entropy",
    "nll",
    "pointwise_loss",
    "gaussian_nll",
)


@jit_sums
def _softmax_forward(x, y, log):
    dtype = y.dtype.type
    for r in range(x.shape[0]):
        high = dtype(-np.inf)
        for c in range(x.shape[1]):
            high = max(high, x[r, c])
        total = 0.0
        for c in range(x.shape[1]):
            shifted = x[r, c] - high
            e = exp(shifted)
            total += e
            y[r, c] = shifted if log else e
        shift, factor = dtype(np.log(total)), dtype(1 / total)
        for c in range(x.shape[1]):
            y[r, c] = y[r, c] - shift if log else y[r, c] * factor


@jit_sums
def _softmax_backward(y, dy, dx, log):
    dtype = dx.dtype.type
    for r in range(y.shape[0]):
        total = 0.0
        for c in range(y.shape[1]):
            total += dy[r, c] if log else y[r, c] * dy[r, c]
        inner = dtype(total)
        for c in range(y.shape[1]):
            dx[r, c] = dy[r, c] - exp(y[r, c]) * inner if log else y[r, c] * (dy[r, c] - inner)


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


@jit
def _mean_divisor(count_rows, outputs, sample_weight, mean, count):
    """The same for losses without classes: the weights count once for each output."""
    total = 0.0
    for r in range(count_rows):
        total += 1.0 if sample_weight is None else np.float64(sample_weight[r])
    count[0] = total if mean else 1.0
    return total * outputs if mean and total * outputs != 0 else 1.0


@cache
def _pointwise(kind: str) -> Any:
    value_of, slope_of = POINTWISE[kind]

    @jit
    def kernel(pred, target, sample_weight, loss, count, dpred, alpha, mean, outputs):
        dtype = pred.dtype.type
        alpha = dtype(alpha)
        divisor = _mean_divisor(pred.shape[0], outputs, sample_weight, mean, count)
        value = 0.0
        for r in range(pred.shape[0]):
            w = 1.0 if sample_weight is None else np.float64(sample_weight[r])
            row = 0.0
            for c in range(pred.shape[1]):
                row += value_of(pred[r, c], target[r, c], alpha)
                if dpred is not None:
                    dpred[r, c] = w / divisor * slope_of(pred[r, c], target[r, c], alpha)
            value += w * row
        loss[0] = value / divisor

    return kernel


@jit
def _gaussian_nll(pred, target, sample_weight, loss, count, dpred, eps, mean):
    dtype = pred.dtype.type
    outputs = target.shape[1]
    divisor = _mean_divisor(target.shape[0], outputs, sample_weight, mean, count)
    lowest = dtype(eps)
    value = 0.0
    for r in range(target.shape[0]):
        w = 1.0 if sample_weight is None else np.float64(sample_weight[r])
        row = 0.0
        for c in range(outputs):
            error = np.float64(pred[r, c] - target[r, c])
            v = np.float64(np.maximum(pred[r, outputs + c], lowest))
            row += 0.5 * (np.log(v) + error * error / v)
            if dpred is not None:
                dpred[r, c] = w / divisor * (error / v)
                dpred[r, outputs + c] = w / divisor * (0.5 * (1 / v - error * error / (v * v)))
        value += w * row
    loss[0] = value / divisor


def _pairs(array: np.ndarray) -> np.ndarray:
    """[*,2,O]: means, then variances, in one row."""
    return as_rows(array.reshape(*array.shape[:-2], 2 * array.shape[-1]))


def softmax_forward(x, y, log) -> Bound:
    return _softmax_forward, (as_rows(x), as_rows(y), log)


def softmax_backward(y, dy, dx, log) -> Bound:
    return _softmax_backward, (as_rows(y), as_rows(dy), as_rows(dx), log)


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


def pointwise_loss(pred, target, sample_weight, loss, count, dpred, kind, alpha, reduction) -> Bound:
    return _pointwise(kind), (
        *(as_rows(pred), as_rows(target), maybe(flat, sample_weight), loss, count, maybe(as_rows, dpred)),
        *(alpha, reduction != "sum", pred.shape[-1] if reduction == "mean" else 1),
    )


def gaussian_nll(pred, target, sample_weight, loss, count, dpred, eps, reduction) -> Bound:
    return _gaussian_nll, (
        *(_pairs(pred), as_rows(target), maybe(flat, sample_weight), loss, count, maybe(_pairs, dpred)),
        *(eps, reduction == "mean"),
    )
