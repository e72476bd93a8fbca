"""Accuracy: how much of a batch's weight lies on rows that are right."""

import numpy as np

from .contract import as_rows, constant, index, op, positive


@op(
    "pred[*,C] target[*]:int64 sample_weight[*]? correct[2]:float64 -> correct",
    samples={
        "target": index("C"),
        "sample_weight": positive,
        "correct": constant(3.0),
        "ignore_index": [-100, 0],
    },
)
def correct_classes(pred, target, sample_weight, correct, ignore_index: int = -100):
    """correct += Σ_b w_b [target_b is the first of the largest of pred_b], Σ_b w_b.

    The sums are over the rows whose target is a class, and not ignore_index.
    """
    rows, labels = as_rows(pred), target.reshape(-1)
    counted = (labels >= 0) & (labels < rows.shape[1]) & (labels != ignore_index)
    largest = rows.argmax(axis=1) if rows.shape[1] else labels
    _count(counted & (largest == labels) & ~np.isnan(rows).any(axis=1), counted, sample_weight, correct)


@op(
    "pred[*,O] target[*,O] sample_weight[*]? correct[2]:float64 -> correct",
    samples={
        "target": lambda rng, shape, dims: rng.integers(0, 2, shape),
        "sample_weight": positive,
        "correct": constant(3.0),
    },
)
def correct_logits(pred, target, sample_weight, correct):
    """correct += Σ_b w_b [pred_bo > 0 where target_bo > ½, and nowhere else], Σ_b w_b."""
    right = as_rows(((pred > 0) == (target > 0.5)) & ~np.isnan(pred))
    _count(right.all(axis=1), np.full(len(right), pred.shape[-1] > 0), sample_weight, correct)


@op("x[*,C] divisor[C]? -> largest[*]:int64", samples={"divisor": positive})
def argmax(x, divisor, largest):
    """largest = the first c at which x_c / divisor_c is largest, NaN counting as the largest; 0 where there is none."""
    rows = as_rows(x if divisor is None else x / divisor)
    largest.reshape(-1)[:] = rows.argmax(axis=1) if rows.shape[1] else 0


def _count(right, counted, sample_weight, correct):
    weight = counted * (1.0 if sample_weight is None else sample_weight.reshape(-1).astype(np.float64))
    correct += (weight * right).sum(), weight.sum()
