"""The default network of the recurrent estimators."""

from typing import Any

from ... import nn
from ..network.layers import linear_layers, whole_numbers

CELLS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def default_network(estimator: Any, features: int, outputs: int) -> nn.Sequential:
    """Recurrent layers, their last states, linear layers."""
    (size,) = whole_numbers("hidden_size", estimator.hidden_size)
    hidden = whole_numbers("hidden_layer_sizes", estimator.hidden_layer_sizes)
    layers, dropout, both = int(estimator.num_layers), float(estimator.dropout), bool(estimator.bidirectional)
    recurrent = CELLS[estimator.cell](
        features, size, layers, dropout=dropout if layers > 1 else 0.0, bidirectional=both, returns="last"
    )
    return nn.Sequential(recurrent, *linear_layers([size * (1 + both), *hidden, outputs], dropout))
