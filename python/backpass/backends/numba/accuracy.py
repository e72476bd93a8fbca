"""Accuracy: how much of a batch's weight lies on rows that are right. NaN is never right."""

import numpy as np

from ...ops.contract import as_rows
from .compiler import Bound, flat, jit, maybe


@jit
def _correct_classes(pred, target, sample_weight, correct, ignored):
    for b in range(target.size):
        label = target[b]
        if label < 0 or label >= pred.shape[1] or label == ignored:
            continue
        weight = 1.0 if sample_weight is None else np.float64(sample_weight[b])
        right = not np.isnan(pred[b, label])
        for c in range(pred.shape[1]):
            # The first of the largest: what stands before the target is smaller.
            if c != label and not (
                pred[b, c] < pred[b, label] or (c > label and pred[b, c] == pred[b, label])
            ):
                right = False
        correct[0] += weight if right else 0.0
        correct[1] += weight


def correct_classes(pred, target, sample_weight, correct, ignore_index) -> Bound:
    return _correct_classes, (as_rows(pred), flat(target), maybe(flat, sample_weight), correct, ignore_index)


@jit
def _correct_logits(pred, target, sample_weight, correct):
    for b in range(pred.shape[0] if pred.size else 0):
        weight = 1.0 if sample_weight is None else np.float64(sample_weight[b])
        right = True
        for o in range(pred.shape[1]):
            if (pred[b, o] > 0) != (target[b, o] > 0.5) or np.isnan(pred[b, o]):
                right = False
        correct[0] += weight if right else 0.0
        correct[1] += weight


def correct_logits(pred, target, sample_weight, correct) -> Bound:
    return _correct_logits, (as_rows(pred), as_rows(target), maybe(flat, sample_weight), correct)
