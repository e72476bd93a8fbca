"""ELMRegressor: a hidden layer of random weights, and output weights by least squares, in one solve."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ...described import explained
from ...model import Model
from ..compat import check_sample_weight
from ..elsewhere import OF_ELM_FIT
from ..parameters import documentation
from ..reading import dense_targets, validated
from ..weights import check_some_weight
from .base import BaseELM
from .documentation import ATTRIBUTES, MEMORY, MODEL, RAISES
from .parameters import REGRESSOR
from .settings import check_settings


class ELMRegressor(RegressorMixin, BaseELM):  # type: ignore[misc, unused-ignore]
    __doc__ = f"""Extreme learning machine for regression (Huang, Zhu and Siew 2006): ŷ = f(x Wᵀ + c) βᵀ + b.

    {MODEL}

    Args:
        {documentation(REGRESSOR)}

    Attributes:
        {ATTRIBUTES}

    Shapes: X (N, features), dense or sparse. y (N,) or (N, K).

    {MEMORY}

    Raises:
        {RAISES}

    Source: Huang, Zhu and Siew 2006 (the model), Allen 1974 (PRESS), Chan, Golub and LeVeque 1983 (sums over chunks).

    Example:
        >>> from backpass.sklearn import ELMRegressor
        >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 1.0, 0.0]
        >>> ELMRegressor(20, alpha=1e-9, random_state=0).fit(X, y).predict(X).round(2)
        array([...0., 1., ...0.])
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @explained(OF_ELM_FIT)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ELMRegressor":
        """Draw the hidden layer and solve.

        Args:
            X: (N, features), dense or sparse. y: (N,) or (N, K).
            sample_weight: (N,) weights of the rows, default None (each row weighs 1).

        Returns the estimator. Raises ValueError or TypeError, which name the argument.
        """
        check_settings(self)
        self._fit(*self._checked(X, y, sample_weight))
        return self

    @explained(OF_ELM_FIT)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ELMRegressor":
        """Add rows and solve again: but for rounding the result is that of one `fit` on all rows so far, those of `fit` included.

        Args:
            X: (N, features), dense or sparse. y: (N,) or (N, K).
            sample_weight: (N,) weights of the rows, default None (each row weighs 1). From the second call on all may be 0.

        With alpha="loo" the ridge is the one that `fit`, or the first call, chose: the rows themselves are not kept.

        Returns the estimator. Raises ValueError: a parameter of the random layer was changed since it was drawn.
        """
        check_settings(self)
        self._partial_fit(*self._checked(X, y, sample_weight, partial=hasattr(self, "moments_")))
        return self

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, partial: bool = False
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        X, y = validated(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            multi_output=True,
            y_numeric=True,
            reset=not partial,
        )
        y = dense_targets(y).astype(np.float64, copy=False)
        w = check_sample_weight(sample_weight, X, np.float64, not_negative=True)
        check_some_weight(w, partial)
        if not partial:
            self._flat_y = y.ndim == 1
        return X, y.reshape(len(y), -1), w

    def predict(self, X: Any) -> np.ndarray:
        """Prediction ŷ for every row of X, (N,) or (N, K) like y; float64."""
        out = self._outputs(X)
        return out[:, 0] if self._flat_y else out

    def to_mlp(self, **options: Any) -> Model:
        """Convert the fitted network to a bp.Model of the same outputs; backpropagation can go on training it.

            model = elm.to_mlp(optimizer=optim.Adam(lr=1e-4))
            model.fit(X, y.reshape(len(y), -1), epochs=10)

        options: for bp.Model: loss (default "mse"), optimizer, seed, dtype (default: that of X), backend, threads.
        """
        check_is_fitted(self, "coef_")
        return self._to_mlp(self.coef_, self.intercept_, "mse", options)
