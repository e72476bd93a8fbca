"""RNNRegressor: a recurrent network for sequences, with scikit-learn's interface."""

from typing import Any

from ...described import explained
from ..elsewhere import OF_NETWORK
from ..network.documentation import ATTRIBUTES, RAISES
from ..network.regressor import NetworkRegressor
from ..parameters import constraints, documentation, keep_parameters
from .base import SHAPES, RecurrentEstimator
from .parameters import REGRESSOR


class RNNRegressor(RecurrentEstimator, NetworkRegressor):
    __doc__ = f"""Recurrent neural network regressor of sequences, trained by backpropagation through time.

    The default network is an LSTM (or a GRU, or a simple recurrent layer), then Linear layers on its last states.

    Args:
        {documentation(REGRESSOR)}

    Attributes:
        n_outputs_: the number of columns of y.
        {ATTRIBUTES.format(score="R²", features="features F of a step")}

    Shapes: {SHAPES}. y (N,) or (N, outputs).

    Raises:
        {RAISES}

    Source: Hochreiter and Schmidhuber 1997 (lstm), Cho et al. 2014 (gru), Elman 1990 (rnn).

    Example:
        >>> import numpy as np
        >>> from backpass.sklearn import RNNRegressor
        >>> X = np.random.default_rng(0).random((64, 5, 1))
        >>> RNNRegressor(16, learning_rate_init=0.02, max_iter=100, random_state=0).fit(X, X.mean((1, 2))).predict(X[:2]).shape
        (2,)
    """

    _parameter_constraints = constraints(REGRESSOR)

    # Written by tests/sklearn/test_sklearn_constructors.py, from the table in parameters.py.
    @explained(OF_NETWORK)
    def __init__(
        self,
        hidden_size: int = 64,
        *,
        cell: str = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        hidden_layer_sizes: Any = (),
        dropout: float = 0.0,
        network: Any = None,
        loss: Any = "squared_error",
        solver: Any = "adam",
        learning_rate_init: float = 0.001,
        lr_schedule: Any = None,
        weight_decay: float | None = None,
        clip_grad_norm: float | None = None,
        batch_size: int = 64,
        max_iter: int = 20,
        shuffle: bool = True,
        tol: float = 0.0001,
        n_iter_no_change: float = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        callbacks: Any = None,
        random_state: Any = None,
        verbose: bool | int = False,
        n_threads: int | None = None,
        backend: str = "auto",
        dtype: str = "float32",
        precision: str | None = None,
    ) -> None:
        keep_parameters(self, locals())
