"""ELMRegressor: a hidden layer of random weights, and output weights by least squares, in one solve."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ...model import Model
from ..parameters import dense_targets
from .base import BaseELM
from .settings import check_settings


class ELMRegressor(RegressorMixin, BaseELM):  # type: ignore[misc, unused-ignore]
    """Regression by an extreme learning machine (Huang, Zhu and Siew 2006): ŷ = f(x Wᵀ + c) βᵀ + b, where W and c are random.

    Only β and b are learned, by ridge regression: one linear solve instead of epochs. X should be standardised (a Pipeline with
    StandardScaler): W is drawn for inputs of about unit size.

    Args:
        n_hidden: random hidden units L, at least 1.
        activation: "tanh", "relu", "sigmoid" (or "logistic"), "gelu", "silu", "elu", "leaky_relu", "softplus", "identity".
        alpha: the ridge: a number of at least 0; None (the same as 0) for the plain Moore-Penrose pseudoinverse; "loo" for the
            one of `alphas` with the least leave-one-out error, exact and without a refit (PRESS, Allen 1974). With
            sample_weight the error is weighted, and whole rows are left out.
        alphas: the grid for "loo", numbers above 0; None: 21 of them, 1e-8 to 1e2 times the mean eigenvalue of S.
        weight_scale: W ~ N(0, weight_scale² / n_features). bias_scale: c ~ N(0, bias_scale²).
        fit_intercept: whether b is learned (it is not penalised), else 0.
        solver: "auto" takes a Cholesky factor of S + αI, and singular values where alpha is 0 or that matrix has a reciprocal
            condition number below 1e-12; "cholesky" and "svd" insist.
        chunk_size: rows whose hidden units are in memory at a time; None: as many as make 32 MB.
        random_state: an int, None or a RandomState; fixes W and c.
        backend, n_threads: of the hidden layer, see `bp.Model`. The solves run on the LAPACK that SciPy brings, with its threads.

    Memory. S is always summed up over chunks of rows, so a fit with K targets needs about 8 (L + K) (L + K + rows of a chunk)
    bytes besides X and y, however many rows there are. Where singular values are called for: those of the hidden matrix itself,
    if it has at most 256 MB; else (and after `partial_fit`, which keeps no rows) the eigenvalues of S, which lose what is below
    1e-7 of the largest singular value. `solver_` says which it was: "cholesky", "svd" or "eigh". Leave-one-out takes the
    eigenvalues of S, and singular values if the smallest of `alphas` is next to nothing; it passes over the rows a second time.

    The hidden layer is computed in X's precision (float32 or float64), all else in float64. Chunks of a sparse X are made dense.

    Attributes: coef_ β (K, L), intercept_ b (K,), hidden_ (the random layer, a bp.Model), moments_ (the sums that partial_fit
    adds to), alpha_ (what was used), solver_, n_features_in_, feature_names_in_; with "loo" alphas_, loo_errors_ (mean squared
    error for each of alphas_), loo_error_ (the least).
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ELMRegressor":
        """Draw the hidden layer and solve. X (N, I), dense or sparse; y (N,) or (N, K); sample_weight (N,)."""
        check_settings(self)
        self._fit(*self._checked(X, y, sample_weight, reset=True))
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ELMRegressor":
        """Take in more rows: the result is that of one `fit` on all rows so far, but for rounding. Goes on after `fit`, too.

        With alpha "loo" the ridge is the one that `fit` chose, or the first call on its rows: later none are kept to leave out.
        """
        check_settings(self)
        self._partial_fit(*self._checked(X, y, sample_weight, reset=not hasattr(self, "moments_")))
        return self

    def _checked(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> tuple[Any, np.ndarray, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            multi_output=True,
            y_numeric=True,
            reset=reset,
        )
        y = dense_targets(y).astype(np.float64, copy=False)
        w = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if reset:
            self._flat_y = y.ndim == 1
        return X, y.reshape(len(y), -1), w

    def predict(self, X: Any) -> np.ndarray:
        """ŷ for every row of X, (N,) or (N, K) like y; float64."""
        out = self._outputs(X)
        return out[:, 0] if self._flat_y else out

    def to_mlp(self, **options: Any) -> Model:
        """The network as a bp.Model of the same outputs, all of whose weights backpropagation can go on training.

            model = elm.to_mlp(optimizer=optim.Adam(lr=1e-4))
            model.fit(X, y.reshape(len(y), -1), epochs=10)

        options: for bp.Model: loss (default "mse"), optimizer, seed, dtype (default: that of X), backend, threads.
        """
        check_is_fitted(self, "coef_")
        return self._to_mlp(self.coef_, self.intercept_, "mse", options)
