"""What RNNClassifier and RNNRegressor have in common: sequences as rows, the network."""

from typing import Any

from ... import nn
from ..network.base import NetworkEstimator
from .network import default_network
from .parameters import NETWORK
from .reading import Sequences, as_sequences, check_numbers_of

SHAPES = """X (N, T, F), or a list of arrays (T, F) that may differ in T: these are padded, and what is behind the end of a
        sequence has no part in the output. T may be another in each call"""


class RecurrentEstimator(NetworkEstimator):
    """Base of the recurrent estimators."""

    _of_the_network = tuple(parameter.name for parameter in NETWORK)

    def _rows(self, X: Any, y: Any, reset: bool) -> Sequences:
        rows = as_sequences(X)
        if y is None:
            check_numbers_of(rows)
        features = rows.steps.shape[2]
        if reset:
            self.input_shape_, self.n_features_in_ = rows.steps.shape[1:], features
        elif features != self.n_features_in_:
            raise ValueError(f"X has {features} features, expected {self.n_features_in_} as in fit")
        return rows

    def _as_input(self, rows: Sequences, net: nn.Module) -> Any:
        return rows.as_input(next(iter(net.takes)))

    def _network(self) -> nn.Module:
        if self.network is not None:
            return self._own_network(self.network)
        return default_network(self, self.n_features_in_, self.n_outputs_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags
