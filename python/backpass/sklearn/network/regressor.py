"""Base of the network estimators that regress: numbers as targets, R² as score."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_array, check_is_fitted

from ... import nn
from ...described import explained
from ...losses import Loss
from ..elsewhere import OF_FIT
from ..reading import dense_targets
from .base import NetworkEstimator

LOSSES: dict[str, type[Loss]] = {
    "squared_error": nn.MSELoss, "absolute_error": nn.L1Loss, "huber": nn.HuberLoss,
}  # fmt: skip


class NetworkRegressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Base of the network regressors: one output for each number of a target."""

    _score_name = "r2"
    _meaning_of_outputs = "one number for each column of y"

    @explained(OF_FIT)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch over some of the rows, on top of all epochs so far.

        Args:
            X, y: rows and targets, as in fit.
            sample_weight: (N,) weights of the rows, default None (each row weighs 1).

        Returns the estimator. Raises ValueError or TypeError, which name the argument.
        """
        self._train(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Prediction for each row of X, (N,) or (N, outputs)."""
        check_is_fitted(self, "model_")
        out = np.asarray(self.model_.predict(self._read(X)))
        return out[:, 0] if self.n_outputs_ == 1 else out

    def _targets(self, y: Any, reset: bool) -> np.ndarray:
        numbers = check_array(dense_targets(y), ensure_2d=False, dtype=np.float64, input_name="y")
        if numbers.ndim == 2 and numbers.shape[1] == 1:
            numbers = column_or_1d(y, warn=True)
        columns = np.asarray(numbers, np.float64).reshape(len(numbers), -1)
        if reset or not hasattr(self, "n_outputs_"):
            self.n_outputs_ = columns.shape[1]
        elif columns.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {columns.shape[1]} outputs, expected {self.n_outputs_} as in the y of fit"
            )
        return columns

    def _loss(self) -> Loss:
        loss: Any = self.loss
        return LOSSES[loss]() if isinstance(loss, str) else loss
