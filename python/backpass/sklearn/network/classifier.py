"""Base of the network estimators that classify: classes as targets, cross entropy, probabilities."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from ... import nn
from ...described import explained
from ...losses import Loss
from ..compat import check_partial_fit_first_call
from ..elsewhere import OF_FIT
from ..reading import check_classes, check_order
from ..weights import row_weights
from .base import NetworkEstimator


class NetworkClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Base of the network classifiers: one output for each class, softmax and cross entropy."""

    _score_name = "accuracy"
    _meaning_of_outputs = "one logit for each class"

    @explained(OF_FIT)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch over some of the rows, on top of all epochs so far.

        Args:
            X, y: rows and labels, as in fit.
            sample_weight: (N,) weights of the rows, default None (each row weighs 1).
            classes: all labels that will ever come, needed by the first call alone; default None.

        Returns the estimator. Raises ValueError where classes are missing, or given in the place of sample_weight.
        """
        check_order(y, sample_weight, classes)
        check_partial_fit_first_call(self, classes)
        self._train(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Most probable label of each row of X, (N,)."""
        check_is_fitted(self, "model_")
        return np.asarray(self.classes_[self.model_.predict(self._read(X)).argmax(axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class for each row of X, in the order of `classes_`, (N, classes)."""
        check_is_fitted(self, "model_")
        probabilities = self.model_.predict_proba(self._read(X))
        # Of one output the model gives two columns.
        return np.ones((len(probabilities), 1)) if len(self.classes_) == 1 else probabilities

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithm of `predict_proba` for each row of X, (N, classes)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def _targets(self, y: Any, reset: bool) -> np.ndarray:
        """Indices of the classes."""
        labels = column_or_1d(y, warn=True)
        check_classes(labels)
        found = np.unique(labels)
        if reset:
            self.classes_ = found
        elif strangers := sorted({*found.tolist()} - {*self.classes_.tolist()}, key=str):
            raise ValueError(
                f"y holds {strangers!r:.80}, expected classes of {self.classes_.tolist()!r:.200}"
            )
        self.n_outputs_ = len(self.classes_)
        return np.asarray(np.searchsorted(self.classes_, labels), np.int64)

    def _weighed(self, weight: np.ndarray | None, y: np.ndarray, incremental: bool) -> np.ndarray | None:
        if isinstance(self.class_weight, str) and incremental:
            raise ValueError(
                "class_weight is 'balanced', but partial_fit does not see all rows: expected a dict"
            )
        return row_weights(weight, self.class_weight, self.classes_, self.classes_[y], partial=incremental)

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return y if len(self.classes_) > 1 else None

    def _loss(self) -> Loss:
        return nn.CrossEntropyLoss(label_smoothing=float(self.label_smoothing))
