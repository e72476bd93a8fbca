"""The constructor parameters of the MLP estimators: scikit-learn's here, the others in additions.py."""

from numbers import Real

import numpy as np

from ..compat import Interval, Options, StrOptions
from ..parameters import CLASS_WEIGHT, Parameter
from .additions import (
    ADDITIONS,
    LABEL_SMOOTHING,
    LOSS_OF_CLASSES,
    LOSS_OF_NUMBERS,
    NOT_NEGATIVE,
    SHARE,
    WHOLE,
)
from .network import ACTIVATIONS
from .solver import STOCHASTIC

ABOVE_ZERO = Interval(Real, 0, None, closed="neither")

SCIKIT_LEARN = (
    Parameter(
        "hidden_layer_sizes", "Any", (100,), ["array-like", WHOLE],
        "units of each hidden layer, a list or one number", "An empty list makes a linear model.", positional=True,
    ),
    Parameter(
        "activation", "str", "relu", [StrOptions({*ACTIVATIONS})],
        'function of the hidden units: "identity", "logistic", "tanh", "relu"',
        'Beyond scikit-learn: "elu", "gelu", "leaky_relu", "silu", "softplus".', positional=True,
    ),
    Parameter(
        "solver", "str", "adam", [StrOptions({"lbfgs", *STOCHASTIC})],
        'optimizer: "lbfgs" (all rows at once, for small data), "sgd", "adam"',
        'Beyond scikit-learn: "rmsprop", "adagrad", "adamw", "nadam", "lion".',
    ),
    Parameter(
        "alpha", "float", 0.0001, [NOT_NEGATIVE],
        "strength of the L2 penalty ½ alpha Σ W² / (rows of the batch) on the weights",
    ),
    Parameter(
        "batch_size", "int | str", "auto", [StrOptions({"auto"}), WHOLE],
        "rows of a step", meaning="200, or all rows if there are fewer; with batch_norm no batch has one row",
    ),
    Parameter(
        "learning_rate", "str", "constant", [StrOptions({"constant", "invscaling", "adaptive"})],
        'how the rate of sgd changes: "constant", "invscaling" (learning_rate_init / t^power_t) or "adaptive"',
        "An adaptive rate is divided by 5 whenever the run stops improving.",
    ),
    Parameter("learning_rate_init", "float", 0.001, [ABOVE_ZERO], "learning rate of the first step"),
    Parameter("power_t", "float", 0.5, [NOT_NEGATIVE], 'exponent of learning_rate="invscaling"'),
    Parameter("max_iter", "int", 200, [WHOLE], "most epochs of a fit; of lbfgs, iterations"),
    Parameter("shuffle", "bool", True, ["boolean"], "whether the rows of each epoch come in a new order"),
    Parameter(
        "random_state", "Any", None, ["random_state"],
        "an int or a RandomState that fixes initial weights, order of rows, split and dropout",
        "The draws are scikit-learn's, so one seed gives the same run there and here.",
    ),
    Parameter(
        "tol", "float", 0.0001, [NOT_NEGATIVE], "least improvement of the loss that counts (with early_stopping, of the score)"
    ),
    Parameter("verbose", "bool | int", False, ["verbose"], "whether to print the loss of each epoch"),
    Parameter("warm_start", "bool", False, ["boolean"], "whether fit goes on from the weights of the last fit"),
    Parameter("momentum", "float", 0.9, [Interval(Real, 0, 1, closed="both")], "momentum of sgd, from 0 to 1"),
    Parameter("nesterovs_momentum", "bool", True, ["boolean"], "whether sgd uses Nesterov's momentum"),
    Parameter(
        "early_stopping", "bool", False, ["boolean"],
        "whether to judge each epoch by rows held out, and to keep the weights of the best one",
    ),
    Parameter("validation_fraction", "float", 0.1, [SHARE], "share of the rows that early_stopping holds out"),
    Parameter("beta_1", "float", 0.9, [SHARE], "decay of the first moment in adam, adamw, nadam and lion"),
    Parameter("beta_2", "float", 0.999, [SHARE], "decay of the second moment in adam, adamw, nadam and lion"),
    Parameter(
        "epsilon", "float", 1e-8, [ABOVE_ZERO], "number that keeps adam, adamw, nadam, rmsprop, adagrad from dividing by 0"
    ),
    Parameter(
        "n_iter_no_change", "float", 10, [WHOLE, Options(Real, {np.inf})],
        "epochs in a row without an improvement by tol that end the run",
    ),
    Parameter("max_fun", "int", 15000, [WHOLE], "most evaluations of the loss by lbfgs"),
)  # fmt: skip

CLASSIFIER = (*SCIKIT_LEARN, LOSS_OF_CLASSES, LABEL_SMOOTHING, CLASS_WEIGHT, *ADDITIONS)
REGRESSOR = (LOSS_OF_NUMBERS, *SCIKIT_LEARN, *ADDITIONS)
