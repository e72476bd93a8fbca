"""Private parts of scikit-learn that the estimators need, in one place: they may move between its versions."""

import inspect
from typing import Any

import numpy as np
from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.multiclass import _check_partial_fit_first_call as check_partial_fit_first_call
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "Interval", "InvalidParameterError", "Options", "StrOptions", "check_partial_fit_first_call", "check_sample_weight",
    "is_scorer", "metric_of", "sign_of", "validate_parameter_constraints",
]  # fmt: skip


# scikit-learn 1.9 refuses weights that are all 0 unless told not to.
ZEROS = {"allow_all_zero_weights": True}
ZEROS = {
    name: value for name, value in ZEROS.items() if name in inspect.signature(_check_sample_weight).parameters
}


def check_sample_weight(sample_weight: Any, X: Any, dtype: Any, not_negative: bool = False) -> np.ndarray:
    """Weights of the rows, (N,) numbers, ones for None; all of them may be 0."""
    if isinstance(sample_weight, str | dict):
        raise TypeError(
            f"sample_weight is {sample_weight!r:.80}, expected a number for each row; weights of classes are class_weight, a"
            " parameter of the constructor"
        )
    weight = _check_sample_weight(sample_weight, X, dtype=dtype, ensure_non_negative=not_negative, **ZEROS)
    return np.asarray(weight)


def is_scorer(metric: Any) -> bool:
    """True for a scorer of sklearn.metrics.make_scorer or get_scorer."""
    return isinstance(metric, _BaseScorer)


def sign_of(scorer: Any) -> int:
    """Sign of a scorer: 1 if more of its metric is better, -1 if less."""
    return int(scorer._sign)


def metric_of(scorer: Any) -> str:
    """Name of the function that a scorer calls."""
    return str(scorer._score_func.__name__)
