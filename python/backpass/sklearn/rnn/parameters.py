"""The constructor parameters of RNNClassifier and RNNRegressor."""

from ..compat import StrOptions
from ..network.parameters import (
    HIDDEN_LAYER_SIZES,
    LABEL_SMOOTHING,
    LOSS_OF_NUMBERS,
    SHARE,
    TRAINING,
    WHOLE,
)
from ..parameters import CLASS_WEIGHT, Parameter
from .network import CELLS

NETWORK = (
    Parameter("hidden_size", "int", 64, [WHOLE], "units of each recurrent layer and direction", positional=True),
    Parameter("cell", "str", "lstm", [StrOptions({*CELLS})], 'recurrent layers: "lstm", "gru" or "rnn" (tanh)'),
    Parameter("num_layers", "int", 1, [WHOLE], "recurrent layers, each of which reads the outputs of the one before"),
    Parameter("bidirectional", "bool", False, ["boolean"], "whether a second direction reads each sequence from its end"),
    HIDDEN_LAYER_SIZES,
    Parameter(
        "dropout", "float", 0.0, [SHARE],
        "share of the numbers zeroed at each step, between recurrent layers and in front of each linear layer",
    ),
    Parameter(
        "network", "Any", None, [None, callable],
        "function (input_shape, n_outputs) -> nn.Module, which replaces the default network",
        "input_shape is (T, F), and n_outputs the number of classes, or of columns of y. Name a function of a module, rather than"
        " a lambda, where the estimator is to be pickled.",
    ),
)  # fmt: skip
CLASSIFIER = (*NETWORK, LABEL_SMOOTHING, CLASS_WEIGHT, *TRAINING)
REGRESSOR = (*NETWORK, LOSS_OF_NUMBERS, *TRAINING)
