"""What the estimators share: a constructor that keeps every parameter as given, as scikit-learn wants it; dense targets."""

from typing import Any

import numpy as np
from scipy import sparse


def keep_parameters(estimator: Any, given: dict[str, Any]) -> None:
    """Each parameter of the constructor becomes the attribute of its name; given: the constructor's `locals()`."""
    for name in estimator._get_param_names():
        setattr(estimator, name, given[name])


def dense_targets(y: Any) -> np.ndarray:
    """The y of a regressor, which scikit-learn's checks let through as a sparse matrix."""
    if sparse.issparse(y):
        raise TypeError(f"y is a {type(y).__name__}, expected a dense array: y.toarray()")
    return np.asarray(y)
