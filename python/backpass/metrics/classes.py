"""Metrics of classes: what is counted of predicted and true classes, and the order of the scores."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .pairs import Pairs


class Outcomes(NamedTuple):
    """Pairs of scores and of what is true, as columns: one for two classes, else one for each class or label.

    scores: (M, K), the larger the likelier; true, guessed: (M, K) of several labels, else class indices (M,).
    """

    scores: np.ndarray
    true: np.ndarray
    guessed: np.ndarray
    weight: np.ndarray | None


class Counts(NamedTuple):
    """Σ weight by class: guessed and true, guessed, true."""

    right: np.ndarray
    guessed: np.ndarray
    true: np.ndarray


def outcomes_of_classes(pairs: Pairs, logs: bool) -> Outcomes:
    """Of outputs (M, C) and class indices (M,). logs: whether outputs are log probabilities instead of logits."""
    pred = pairs.pred.astype(np.float64)
    if pred.shape[1] == 2:
        scores = pred[:, 1:] - pred[:, :1]
    else:
        scores = np.exp(pred if logs else pred - pred.max(axis=1, keepdims=True, initial=-np.inf))
        if not logs:
            scores /= scores.sum(axis=1, keepdims=True)
    guessed = pred.argmax(axis=1) if pred.shape[1] else pairs.target
    return Outcomes(scores, pairs.target, guessed, pairs.weight)


def outcomes_of_logits(pairs: Pairs) -> Outcomes:
    """Of logits (M, K) and targets alike: of one column two classes, of more a label each."""
    true, guessed = pairs.target > 0.5, pairs.pred > 0
    if pairs.pred.shape[1] == 1:
        true, guessed = (flags[:, 0].astype(np.int64) for flags in (true, guessed))
    return Outcomes(pairs.pred, true, guessed, pairs.weight)


def counts_of(outcomes: Outcomes, macro: bool) -> Counts:
    """Of the positive one of two classes, unless `macro`; else of each class that occurs, or of each label."""
    true, guessed, weight = outcomes.true, outcomes.guessed, outcomes.weight
    if true.ndim == 2:
        each = np.ones((len(true), 1)) if weight is None else weight[:, None]
        return Counts(*((each * flags).sum(axis=0) for flags in (true & guessed, guessed, true)))
    columns = outcomes.scores.shape[1]
    size = max(columns, 2)
    right = true == guessed
    counted = Counts(
        np.bincount(true[right], None if weight is None else weight[right], size),
        np.bincount(guessed, weight, size),
        np.bincount(true, weight, size),
    )
    if columns == 1 and not macro:
        return Counts(*(numbers[1:] for numbers in counted))
    occurs = counted.guessed + counted.true > 0
    return Counts(*(numbers[occurs] for numbers in counted))


def precision(counts: Counts) -> np.ndarray:
    """Of what is guessed the share that is true; 0 where nothing is guessed."""
    return _share(counts.right, counts.guessed)


def recall(counts: Counts) -> np.ndarray:
    """Of what is true the share that is guessed; 0 where nothing is true."""
    return _share(counts.right, counts.true)


def f1(counts: Counts) -> np.ndarray:
    """The harmonic mean of precision and recall: 2 right / (guessed + true)."""
    return _share(2 * counts.right, counts.guessed + counts.true)


def mean_of(share: Callable[[Counts], np.ndarray], macro: bool) -> Callable[[Outcomes], float]:
    """The mean of a share over the classes."""

    def metric(outcomes: Outcomes) -> float:
        shares = share(counts_of(outcomes, macro))
        return float(shares.mean()) if shares.size and len(outcomes.true) else float("nan")

    return metric


def auc(outcomes: Outcomes) -> float:
    """Area under the ROC curve: how likely a positive row has a larger score than a negative one, a tie counting half.

    Of several classes or labels the mean over those that have both, each against the rest; NaN of none.
    """
    scores, true = outcomes.scores, outcomes.true
    if true.ndim == 1:
        positive = [true == (1 if scores.shape[1] == 1 else c) for c in range(scores.shape[1])]
    else:
        positive = [*true.T]
    weight = np.ones(len(true)) if outcomes.weight is None else outcomes.weight
    areas = [_area(score, which, weight) for score, which in zip(scores.T, positive, strict=True)]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def top(k: int) -> Callable[[Pairs], float]:
    """The share of rows whose class is among the k largest outputs, of equal ones the first."""

    def metric(pairs: Pairs) -> float:
        own = np.take_along_axis(pairs.pred, pairs.target[:, None], axis=1)
        before = np.arange(pairs.pred.shape[1]) < pairs.target[:, None]
        rank = (pairs.pred > own).sum(axis=1) + ((pairs.pred == own) & before).sum(axis=1)
        return pairs.mean((rank < k).astype(np.float64))

    return metric


def _share(part: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.where(of > 0, part / np.where(of > 0, of, 1), 0.0)


def _area(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> float:
    if not len(score):
        return float("nan")
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    above = np.add.reduceat((weight * positive)[order], starts)
    below = np.add.reduceat((weight * ~positive)[order], starts)
    pairs = above.sum() * below.sum()
    return float((above * (below.cumsum() - below / 2)).sum() / pairs) if pairs else float("nan")
