"""The constructor parameters that every network estimator has."""

from numbers import Integral, Real

import numpy as np

from ...losses import Loss
from ...optim import NAMES, Optimizer
from ...optim.schedules import Schedule
from ..compat import Interval, Options, StrOptions
from ..parameters import BACKEND, N_THREADS, PRECISION, Parameter

WHOLE = Interval(Integral, 1, None, closed="left")
ABOVE_ZERO = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
SHARE = Interval(Real, 0, 1, closed="left")

HIDDEN_LAYER_SIZES = Parameter(
    "hidden_layer_sizes", "Any", (), ["array-like", WHOLE], "units of the linear layers before the last one, a list or one number"
)  # fmt: skip
DROPOUT = Parameter(
    "dropout", "float", 0.0, [SHARE], "share of the inputs of each linear layer that are zeroed at each step"
)
LABEL_SMOOTHING = Parameter(
    "label_smoothing", "float", 0.0, [SHARE], "share of the targets' mass that goes to all classes alike"
)
LOSS_OF_NUMBERS = Parameter(
    "loss", "Any", "squared_error", [StrOptions({"squared_error", "absolute_error", "huber"}), Loss],
    'loss function: "squared_error", "absolute_error", "huber"', "Also an object such as nn.QuantileLoss(0.9).",
)  # fmt: skip
TRAINING = (
    Parameter(
        "solver", "Any", "adam", [StrOptions({*NAMES}), Optimizer],
        'optimizer: "sgd" (with Nesterov\'s momentum of 0.9), "adam", "adamw", "rmsprop", "adagrad", "adadelta", "nadam", "lion"',
        "Also an object such as optim.Adam(1e-3, amsgrad=True), which is copied.",
    ),
    Parameter("learning_rate_init", "float", 0.001, [ABOVE_ZERO], "learning rate of the first step"),
    Parameter(
        "lr_schedule", "Any", None, [None, Schedule], "schedule from `optim.schedules` that replaces learning_rate_init",
        "It is evaluated at every step, and continues across partial_fit and warm starts.",
    ),
    Parameter(
        "weight_decay", "float | None", None, [None, NOT_NEGATIVE],
        "weight decay of the optimizer, on all parameters", meaning="0.01 for adamw, 0 for the others",
    ),
    Parameter(
        "clip_grad_norm", "float | None", None, [None, ABOVE_ZERO],
        "largest norm of the gradient of all parameters; a larger one is rescaled",
    ),
    Parameter("batch_size", "int", 64, [WHOLE], "rows of a step; at most all"),
    Parameter("max_iter", "int", 20, [WHOLE], "most epochs of a fit"),
    Parameter("shuffle", "bool", True, ["boolean"], "whether the rows of each epoch come in a new order"),
    Parameter(
        "tol", "float", 0.0001, [NOT_NEGATIVE], "least improvement of the loss that counts (with early_stopping, of the score)"
    ),
    Parameter(
        "n_iter_no_change", "float", 10, [WHOLE, Options(Real, {np.inf})],
        "epochs in a row without an improvement by tol that end the run",
    ),
    Parameter(
        "early_stopping", "bool", False, ["boolean"],
        "whether to judge each epoch by rows held out, and to keep the weights of the best one",
    ),
    Parameter(
        "validation_fraction", "float", 0.1, [Interval(Real, 0, 1, closed="neither")],
        "share of the rows that early_stopping holds out",
    ),
    Parameter("warm_start", "bool", False, ["boolean"], "whether fit goes on from the weights of the last fit"),
    Parameter(
        "callbacks", "Any", None, [None, list, tuple], "list of `bp.Callback` objects, or of objects with some of its methods",
        'Their logs hold "loss", "lr", and with early_stopping "val_loss" and the score behind "val_".',
    ),
    Parameter(
        "random_state", "Any", None, ["random_state"],
        "an int or a RandomState that fixes initial weights, order of rows, split, dropout and augmentation",
    ),
    Parameter("verbose", "bool | int", False, ["verbose"], "whether to print a line for each epoch"),
    N_THREADS,
    BACKEND,
    Parameter(
        "dtype", "str", "float32", [StrOptions({"float32", "float64"})],
        'dtype of the weights: "float32", which is faster, or "float64"',
    ),
    PRECISION,
)  # fmt: skip
