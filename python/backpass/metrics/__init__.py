"""Metrics: what `bp.Model(metrics=[...])` watches besides the loss, in training and in evaluation."""

from .metrics import Metrics

__all__ = ["Metrics"]
