"""Records of a run in scikit-learn's attributes."""

from typing import Any

from sklearn.metrics import r2_score

from ...callbacks import Callback
from ...callbacks.base import Logs
from ..sharing import threads_of


class Records(Callback):
    """Callback that keeps loss and score of each epoch in an estimator: loss_curve_, validation_scores_, n_iter_.

    Args:
        score: name of the score in the logs. held_out: X, y and weights of which it is computed where a model does not log it.
    """

    def __init__(self, estimator: Any, score: str, held_out: tuple[Any, ...] | None) -> None:
        self.estimator, self.score, self.held_out = estimator, score, held_out

    def on_train_begin(self, logs: Logs) -> None:
        """Announce the score, so that other callbacks may monitor it."""
        if self.held_out and self.score not in self.params["metrics"]:
            self.params["metrics"].append(self.score)
            self.params["better"][self.score] = "max"

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Take this estimator's share of the threads: others may train at once."""
        self.model.engine.threads = threads_of(self.estimator.n_threads)

    def on_train_end(self, logs: Logs) -> None:
        self.model.threads = self.estimator.n_threads

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        estimator = self.estimator
        if self.held_out and self.score not in logs:
            X, y, weight = self.held_out
            logs[self.score] = float(r2_score(y, self.model.predict(X), sample_weight=weight))
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
