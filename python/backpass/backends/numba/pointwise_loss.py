"""Losses of real targets: value and gradient in one pass over the rows, sums in float64."""

from functools import cache
from typing import Any

import numpy as np

from ...ops.contract import as_rows
from ...ops.formulas import POINTWISE
from .compiler import Bound, flat, jit, maybe


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
