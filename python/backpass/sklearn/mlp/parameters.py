"""What the constructor parameters of the MLP estimators may be, checked by scikit-learn when `fit` is called."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from ...backends import KNOWN
from ...backends.threads import MOST
from ...checks import is_whole, real
from ...losses import Loss
from ...optim.schedules import Schedule
from ..compat import Interval, Options, StrOptions
from .network import ACTIVATIONS
from .solver import STOCHASTIC
from .targets import CLASSIFICATION, REGRESSION

POSITIVE = Interval(Integral, 1, None, closed="left")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
SHARE = Interval(Real, 0, 1, closed="left")

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", POSITIVE],
    "activation": [StrOptions({*ACTIVATIONS})],
    "solver": [StrOptions({"lbfgs", *STOCHASTIC})],
    "alpha": [NOT_NEGATIVE],
    "batch_size": [StrOptions({"auto"}), POSITIVE],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [NOT_NEGATIVE],
    "max_iter": [POSITIVE],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [NOT_NEGATIVE],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [SHARE],
    "beta_1": [SHARE],
    "beta_2": [SHARE],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [POSITIVE, Options(Real, {np.inf})],
    "max_fun": [POSITIVE],
    # what scikit-learn does not have
    "dropout": [SHARE],
    "batch_norm": ["boolean"],
    "layer_norm": ["boolean"],
    "residual": ["boolean"],
    "weight_decay": [None, NOT_NEGATIVE],
    "clip_grad_norm": [None, Interval(Real, 0, None, closed="neither")],
    "lr_schedule": [None, NOT_NEGATIVE, Schedule, callable],
    "eval_metric": [None, str, callable],
    "callbacks": [None, list, tuple],
    "n_threads": [None, Interval(Integral, 1, MOST, closed="both")],
    "backend": [StrOptions({"auto", *KNOWN})],
    "dtype": [None, StrOptions({"float32", "float64"})],
}
REGRESSOR = {"loss": [StrOptions({*REGRESSION}), Loss, callable]}
CLASSIFIER = {
    "loss": [StrOptions({*CLASSIFICATION}), Loss, callable],
    "label_smoothing": [SHARE],
    "class_weight": [None, StrOptions({"balanced"}), dict, list],
}

# What lbfgs, which takes all rows at once, can do nothing with.
ONLY_STEPS = ("dropout", "batch_norm", "callbacks", "weight_decay", "clip_grad_norm", "lr_schedule")

# Where an optimizer or a model refuses a bool, which scikit-learn takes for a number.
NO_BOOL = ("learning_rate_init", "beta_1", "beta_2", "epsilon", "n_threads")


def check_numbers(estimator: Any) -> None:
    """Refuse what scikit-learn's constraints fail on, or take for a number that is none."""
    for name in CONSTRAINTS:
        value = getattr(estimator, name)
        if (
            isinstance(value, np.timedelta64)
            or (is_whole(value) and np.isinf(real(value)))
            or (name in NO_BOOL and isinstance(value, bool | np.bool_))
        ):
            raise ValueError(f"{name} is {value!r:.80}, expected a number that a float can hold")


def check_together(estimator: Any) -> None:
    """Refuse parameters that another one leaves without effect, as far as scikit-learn does not have them."""
    if estimator.solver not in STOCHASTIC:
        for name in ONLY_STEPS:
            if value := getattr(estimator, name):
                raise ValueError(
                    f"{name} is {value!r:.80}, but solver='lbfgs' has no steps; choose one of {STOCHASTIC}"
                )
    elif (
        estimator.solver == "sgd"
        and estimator.learning_rate != "constant"
        and estimator.lr_schedule is not None
    ):
        raise ValueError(
            f"lr_schedule is {estimator.lr_schedule!r:.80}, but learning_rate is {estimator.learning_rate!r}: expected"
            " learning_rate='constant' where a schedule sets the rate"
        )


def hidden_sizes(sizes: Any) -> list[int]:
    """hidden_layer_sizes as a list."""
    try:
        hidden = [*sizes]
    except TypeError:
        hidden = [sizes]
    if not all(is_whole(size) and size < 2**31 for size in hidden):
        raise ValueError(f"hidden_layer_sizes is {sizes!r:.80}, expected integers from 1 to {2**31 - 1}")
    if any(size <= 0 for size in hidden):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")  # scikit-learn's words
    return [int(size) for size in hidden]


DOCUMENTATION = """
    scikit-learn's parameters mean what they mean there. `solver` knows "rmsprop", "adagrad", "adamw", "nadam" and "lion" too,
    `activation` also "elu", "gelu", "leaky_relu", "silu" and "softplus". What scikit-learn does not have:

    Args:
        dropout: share of the values behind each hidden activation that are zeroed while training, default 0.
        batch_norm, layer_norm: normalise in front of each hidden activation. With batch_norm batch_size="auto" is such that no
            batch has one row.
        residual: add its input to a hidden layer's output where both have one size.
        weight_decay: of the optimizer, on all parameters; None: its default (adamw 0.01, others 0). alpha is apart from it.
        clip_grad_norm: rescale the gradient of all parameters to this norm at most.
        lr_schedule: in the place of learning_rate_init an `optim.schedules` schedule, evaluated at every step, which goes on in
            partial_fit and a warm start, or a callable epoch -> learning rate; epochs count from each fit, in partial_fit all.
        eval_metric: a scikit-learn scorer, its name, or a callable (y_true, y_pred) -> float for fit's `eval_set`;
            None: accuracy or r2. The values of all epochs are in `evals_result_`.
        callbacks: `bp.Callback` objects, or any with methods of theirs; their logs hold "loss", "lr", "val_accuracy" or "val_r2",
            and the eval_metric.
        n_threads: the most threads to use; None: bp.get_num_threads(). backend: "auto", "native", "numba" or "numpy".
        dtype: "float32" or "float64"; None: that of X, float64 if X is neither, as scikit-learn. "float32" is faster.
"""
