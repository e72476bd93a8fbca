"""Records of a run in scikit-learn's attributes."""

from typing import Any

from ...callbacks import Callback


class Records(Callback):
    """Callback that keeps loss and score of each epoch in an estimator: loss_curve_, validation_scores_, n_iter_."""

    def __init__(self, estimator: Any, score: str) -> None:
        self.estimator, self.score = estimator, score

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = logs["loss"]
        estimator.loss_curve_.append(logs["loss"])
        if self.score in logs and estimator.validation_scores_ is not None:
            estimator.validation_scores_.append(logs[self.score])
            estimator.best_validation_score_ = max(estimator.validation_scores_)


def start_records(estimator: Any, fresh: bool, judged: bool) -> None:
    """Start the records: of new weights, or of a warm start that judges by another quantity.

    judged: whether each epoch has a validation score.
    """
    estimator.n_iter_ = 0
    if fresh:
        estimator.loss_curve_, estimator.loss_ = [], float("nan")
    elif (estimator.validation_scores_ is not None) == judged:
        return
    estimator.validation_scores_ = [] if judged else None
    estimator.best_validation_score_ = float("-inf") if judged else None
