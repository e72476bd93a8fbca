"""MLPRegressor: scikit-learn's regressor, trained by backpass."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ...described import explained
from ..elsewhere import OF_FIT, OF_MLP
from ..parameters import constraints, documentation, keep_parameters
from ..reading import dense_targets
from .base import BaseMLP
from .documentation import ATTRIBUTES, RAISES, SOURCES
from .parameters import REGRESSOR
from .solver import stochastic
from .targets import Task, regression_loss, regression_task


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc] # scikit-learn has no types
    __doc__ = f"""Multi-layer perceptron regressor, trained by backpropagation: scikit-learn's class with a faster engine.

    Parameters, attributes and methods of sklearn.neural_network.MLPRegressor mean what they mean there. One seed gives the
    same run in both, but for rounding.

    Args:
        {documentation(REGRESSOR)}

    Attributes:
        {ATTRIBUTES.format(score="R²")}

    Shapes: X (N, features), dense or sparse. y (N,) or (N, outputs).

    Raises:
        {RAISES}

    Source: {SOURCES}

    Example:
        >>> from backpass.sklearn import MLPRegressor
        >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 1.0, 0.0]
        >>> MLPRegressor("squared_error", (8,), "tanh", solver="lbfgs", random_state=0).fit(X, y).predict([[0.5]]).round(1)
        array([1.])
    """

    _parameter_constraints = constraints(REGRESSOR)
    _score_name = "r2"

    # Written by tests/sklearn/test_sklearn_constructors.py, from the table in parameters.py.
    @explained(OF_MLP)
    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 0.0001,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-08,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        categorical_features: Any = None,
        embedding_dim: Any = None,
        dropout: float = 0.0,
        batch_norm: bool = False,
        layer_norm: bool = False,
        residual: bool = False,
        weight_decay: float | None = None,
        clip_grad_norm: float | None = None,
        lr_schedule: Any = None,
        eval_metric: Any = None,
        callbacks: Any = None,
        n_threads: int | None = None,
        backend: str = "auto",
        dtype: str | None = None,
        precision: str | None = None,
    ) -> None:
        keep_parameters(self, locals())

    @available_if(stochastic)  # type: ignore[untyped-decorator]
    @explained(OF_FIT)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPRegressor":
        """Train for one epoch over some of the rows, on top of all epochs so far.

        Args:
            X: (N, features), dense or sparse. y: (N,) or (N, outputs).
            sample_weight: (N,) weights of the rows, default None (each row weighs 1). All of them may be 0.

        Returns the estimator. Raises ValueError or TypeError, which name the argument.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Prediction for each row of X, (N,) or (N, outputs)."""
        check_is_fitted(self, "coefs_")
        return self._predict(self._checked(X))

    def _predict(self, X: Any) -> np.ndarray:
        out = self._raw(X)
        return out[:, 0] if out.shape[1] == 1 else out

    def _labels(self, target: np.ndarray) -> np.ndarray:
        return target

    def _score(self, X: Any, y: Any, weight: Any) -> float:
        pred = self._predict(X)
        with np.errstate(over="ignore", invalid="ignore"):  # a run that is about to diverge
            return float(r2_score(y, pred, sample_weight=weight)) if np.isfinite(pred).all() else float("nan")

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = self._validated(X, y, incremental, reset, y_numeric=True)
        return X, dense_targets(y)

    def _prepare(self, y: Any, weight: Any, incremental: bool) -> tuple[np.ndarray, np.ndarray | None]:
        return y.reshape(len(y), -1), weight

    def _loss(self) -> tuple[Any, str]:
        return regression_loss(self.loss)

    def _task(self, loss: Any, y: np.ndarray, weight: np.ndarray | None, dtype: Any) -> Task:
        return regression_task(self.loss, y, weight, dtype)
