"""The run of a stochastic solver, judged by scikit-learn's rules: shuffle, train, judge, stop."""

import math
import warnings
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from ...callbacks import TerminateOnNaN
from ...data.sparse import is_sparse
from ...errors import NonFiniteError
from ...training.fingerprint import NO_DATA
from ...training.resume import FitOptions
from ...training.run import train
from .checks import check_monitors
from .epochs import KEPT, Epochs
from .evaluation import Evaluation
from .network import Network
from .solver import Rate
from .targets import Task


class Training:
    """One call of fit or partial_fit: the judge of its run."""

    def __init__(
        self, estimator: Any, network: Network, X: Any, task: Task, incremental: bool, eval_set: Any
    ) -> None:
        self.estimator, self.network, self.incremental = estimator, network, incremental
        self.rate = Rate(estimator, network, restart=not incremental)
        self.evaluation = Evaluation(estimator, eval_set)
        score = {f"val_{estimator._score_name}": "max"} if estimator.early_stopping else {}
        self.better = self.evaluation.better | score
        self.callbacks = list(estimator.callbacks or ())
        check_monitors(estimator, ["loss", *self.better, "lr"])
        self.held_out: tuple[Any, ...] | None = None
        if estimator.early_stopping and not self.evaluation:
            X, task = self._hold_out(X, task)
        self.task, self.rows = task, int(X.shape[0])
        self.size = self._batch_size()
        self.epochs = self._epochs(X)
        # Whether a run that diverges ends without a word.
        self.terminates = any(isinstance(callback, TerminateOnNaN) for callback in self.callbacks)
        # The weights of the best epoch with early stopping, of the last one that was finite with TerminateOnNaN.
        self.best = network.snapshot() if estimator.early_stopping or self.terminates else []
        self.order = np.arange(self.rows)
        # A step that was not finite in the epoch that ends.
        self.diverged: NonFiniteError | None = None

    def _batch_size(self) -> int:
        size = self.estimator.batch_size
        if size == "auto":
            size = min(200, self.rows)
            while self.estimator.batch_norm and size > 2 and self.rows % size == 1:
                size -= 1
        elif size > self.rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                stacklevel=6,
            )
        rows = min(int(size), self.rows)
        if self.estimator.batch_norm and 1 in (rows, self.rows % rows):
            raise ValueError(
                f"batch_size is {rows}, which makes a batch of one row out of {self.rows}, but batch_norm=True needs two rows:"
                " expected another batch_size, such as 'auto'"
            )
        return rows

    def _hold_out(self, X: Any, task: Task) -> tuple[Any, Task]:
        """Split the validation rows off, as scikit-learn does: stratified only where there is one output of classes."""
        estimator = self.estimator
        classes = is_classifier(estimator)
        rows, held = train_test_split(
            np.arange(X.shape[0]),
            random_state=estimator._random_state,
            test_size=estimator.validation_fraction,
            stratify=task.target > 0.5 if classes and estimator.n_outputs_ == 1 else None,
        )
        if len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        weight = None if task.weight is None else task.weight[held]
        if task.weight is not None and not (task.weight[held].any() and task.weight[rows].any()):
            raise ValueError(
                "sample_weight (times class_weight) is zero for all rows that early_stopping=True holds out, or for all others:"
                " expected another random_state or validation_fraction"
            )
        self.held_out = (X[held], estimator._labels(task.target[held]), weight)
        return X[rows], task.of(rows)

    def _epochs(self, X: Any) -> Epochs:
        """Loop over the epochs; partial_fit keeps it for the next batch of the same shape, unless it reads a sparse X."""
        task, network, alpha = self.task, self.network, self.estimator.alpha
        arguments = (network, X, task.target, task.weight, self.size, alpha, task.share)
        if not self.incremental or network.reads_sparse(X):
            return Epochs(*arguments)
        key = (X.shape, self.size, alpha, task.weight is None, task.target.shape, is_sparse(X))
        if len(network.epochs) >= KEPT:
            network.epochs.clear()
        if key not in network.epochs:
            network.epochs[key] = Epochs(*arguments, copy=True)
        epochs: Epochs = network.epochs[key]
        epochs.load(X, task.target, task.weight)
        return epochs

    def run(self) -> None:
        """Train until the run converges, max_iter is reached, or a callback or the user stops it."""
        estimator, model = self.estimator, self.network.model
        estimator.n_iter_ = 0
        options = FitOptions(model, estimator.max_iter, self.size, callbacks=self.callbacks)
        try:
            train(model.engine, lambda run: self.epochs, self.rows, NO_DATA, options, self)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        finally:
            model.engine.last_run = None  # an estimator goes on by scikit-learn's rules
            if self.incremental:
                self.epochs.unload()
        if estimator.early_stopping or (self.terminates and not self.network.is_finite()):
            self.network.restore(self.best)

    # -- the judge of the run -----------------------------------------------------------------------------------------

    fingerprint, listens = NO_DATA, True

    def epoch_begins(self, epoch: int) -> None:
        """Shuffle the rows, and ask a callable schedule for the learning rate."""
        estimator = self.estimator
        if estimator.shuffle:
            # The draw of sklearn.utils.shuffle, whose checks cost more than an epoch of a small data set.
            shuffled = np.arange(self.rows)
            estimator._random_state.shuffle(shuffled)
            self.order = self.order[shuffled]
        self.epochs.order = self.order
        if self.terminates and not estimator.early_stopping:
            self.best = self.network.snapshot()
        self.rate.epoch_begins(len(estimator.loss_curve_) if self.incremental else estimator.n_iter_)
        self.diverged = None

    def forgives(self, error: NonFiniteError) -> bool:
        """True with early stopping, which has kept better weights: a step that diverged ends the run without an error."""
        self.diverged = error
        return bool(self.estimator.early_stopping)

    def judge(self, epoch: int, logs: dict[str, float]) -> None:
        """Record the epoch's loss, in scikit-learn's terms, and the metrics."""
        estimator = self.estimator
        loss = math.nan if self.diverged else logs["loss"] + self.task.mean_offset(self.order, self.size)
        estimator.n_iter_ += 1
        estimator.t_ += self.rows
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        logs |= {"loss": loss, **self.evaluation.epoch()}
        self._count_improvement(logs)

    def epoch_ends(self, epoch: int) -> bool:
        """True if the run is over, by scikit-learn's rules."""
        estimator = self.estimator
        self.rate.epoch_ends(estimator.t_)
        if self.diverged:
            if not self.terminates:
                warnings.warn(f"Training diverged: {self.diverged}", ConvergenceWarning, stacklevel=8)
            return True
        if self._converged() or self.incremental or self.network.model.stop_training:
            return True
        if estimator.n_iter_ == estimator.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization"
                " hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=8,
            )
        return False

    def _count_improvement(self, logs: dict[str, float]) -> None:
        """Count epochs in a row without an improvement of the validation score (early stopping) or of the loss."""
        estimator = self.estimator
        if not estimator.early_stopping:
            better = estimator.loss_ <= estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
        else:
            score = math.nan if self.diverged else self._score()
            estimator.validation_scores_.append(score)
            logs[f"val_{estimator._score_name}"] = score
            if estimator.verbose:
                print(f"Validation score: {score:f}")
            better = not score < estimator.best_validation_score_ + estimator.tol
            if score > estimator.best_validation_score_:
                estimator.best_validation_score_ = score
                self.best = self.network.snapshot()
        estimator._no_improvement_count = 0 if better else estimator._no_improvement_count + 1

    def _score(self) -> float:
        """Score on the held-out rows, or on the first eval_set."""
        X, y, weight = self.held_out or self.evaluation.first()
        return float(self.estimator._score(X, y, weight))

    def _converged(self) -> bool:
        estimator = self.estimator
        if estimator._no_improvement_count <= estimator.n_iter_no_change:
            return False
        quantity = "Validation score" if estimator.early_stopping else "Training loss"
        epochs = f"{estimator.n_iter_no_change} consecutive epochs"
        reason = f"{quantity} did not improve more than tol={estimator.tol:f} for {epochs}."
        if self.rate.stops(reason, estimator.verbose):
            return True
        estimator._no_improvement_count = 0
        return False
