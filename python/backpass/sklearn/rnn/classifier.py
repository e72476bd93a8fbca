"""RNNClassifier: a recurrent network for sequences, with scikit-learn's interface."""

from typing import Any

from ...described import explained
from ..elsewhere import OF_NETWORK
from ..network.classifier import NetworkClassifier
from ..network.documentation import ATTRIBUTES, RAISES
from ..parameters import constraints, documentation, keep_parameters
from .base import SHAPES, RecurrentEstimator
from .parameters import CLASSIFIER


class RNNClassifier(RecurrentEstimator, NetworkClassifier):
    __doc__ = f"""Recurrent neural network classifier of sequences, trained by backpropagation through time.

    The default network is an LSTM (or a GRU, or a simple recurrent layer), then Linear layers on its last states.

    Args:
        {documentation(CLASSIFIER)}

    Attributes:
        classes_: the labels, sorted. n_outputs_: their number.
        {ATTRIBUTES.format(score="accuracy", features="features F of a step")}

    Shapes: {SHAPES}. y (N,) of any labels.

    Raises:
        {RAISES}

    Source: Hochreiter and Schmidhuber 1997 (lstm), Cho et al. 2014 (gru), Elman 1990 (rnn).

    Example:
        >>> import numpy as np
        >>> from backpass.sklearn import RNNClassifier
        >>> up = np.linspace(0, 1, 6)[:, None]
        >>> X, y = [up, up[:4], 1 - up, 1 - up[:4]] * 8, ["up", "up", "down", "down"] * 8
        >>> RNNClassifier(8, learning_rate_init=0.05, random_state=0).fit(X, y).predict([up[1:], 1 - up[1:]])
        array(['up', 'down'], dtype='<U4')
    """

    _parameter_constraints = constraints(CLASSIFIER)

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
        label_smoothing: float = 0.0,
        class_weight: Any = None,
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
