"""What users pass as X and y, read by scikit-learn's checks."""

from typing import Any

import numpy as np
from scipy import sparse


def dense_targets(y: Any) -> np.ndarray:
    """The y of a regressor, which scikit-learn's checks let through as a sparse matrix."""
    if sparse.issparse(y):
        raise TypeError(f"y is a {type(y).__name__}, expected a dense array: y.toarray()")
    return np.asarray(y)
