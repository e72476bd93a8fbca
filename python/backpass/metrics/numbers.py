"""Metrics of numbers: how far predictions are from targets, (M, O) each."""

import numpy as np

from .pairs import Pairs


def mae(pairs: Pairs) -> float:
    """Mean absolute error: mean of |pred - y|."""
    return pairs.mean(np.abs(pairs.pred - pairs.target).mean(axis=1))


def mse(pairs: Pairs) -> float:
    """Mean squared error: mean of (pred - y)²."""
    return pairs.mean(((pairs.pred - pairs.target) ** 2).mean(axis=1))


def rmse(pairs: Pairs) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(mse(pairs)))


def r2(pairs: Pairs) -> float:
    """R²: mean over the outputs of 1 - Σ w (y - pred)² / Σ w (y - mean)²; of a constant y 1 or 0. NaN of no pairs."""
    pred, y = pairs.pred, pairs.target
    return r2_of(
        pred, y, np.ones(y.shape) if pairs.weight is None else np.broadcast_to(pairs.weight[:, None], y.shape)
    )


def r2_of(pred: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """R² of (M, O) with a weight for each element; an output whose weights are all 0 does not count."""
    weights = weight.sum(axis=0)
    mean = (weight * y).sum(axis=0) / np.where(weights > 0, weights, 1)
    residual, total = (weight * (y - pred) ** 2).sum(axis=0), (weight * (y - mean) ** 2).sum(axis=0)
    each = np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), np.where(residual > 0, 0.0, 1.0))
    counted = each[weights > 0]
    return float(counted.mean()) if counted.size else float("nan")
