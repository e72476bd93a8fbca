"""The parameter class_weight of the classifiers: a weight for each row."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.class_weight import compute_sample_weight

from ..checks import real


def weights_of_classes(
    class_weight: Any, classes: np.ndarray, y: Any, sample_weight: np.ndarray | None
) -> np.ndarray:
    """(N,) for y (N,) of classes, or of labels (N, K), whose weights are multiplied. A class that a dict does not name weighs 1.

    class_weight: "balanced" or {class: weight}; for labels "balanced" or a list of K dicts. "balanced" counts rows with their
    sample_weight. As in scikit-learn a dict may name classes that do not occur (in a fold, say) if it leaves out none that does.
    """
    y = y.toarray() if sparse.issparse(y) else y
    if isinstance(class_weight, str) and class_weight == "balanced":
        columns = y[:, None] if y.ndim == 1 else y
        return np.asarray(np.prod([_balanced(column, sample_weight) for column in columns.T], axis=0))
    if y.ndim == 2:
        return np.asarray(compute_sample_weight(class_weight, y))
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"class_weight is {class_weight!r:.200}, expected None, 'balanced' or {{class: weight}}"
        )
    known = classes.tolist()
    if (unknown := set(class_weight) - set(known)) and not set(known) <= set(class_weight):
        raise ValueError(f"class_weight names {sorted(unknown, key=str)}, expected classes of {known}")
    if not all(0 <= real(weight) < np.inf for weight in class_weight.values()):
        raise ValueError(f"class_weight is {class_weight!r:.200}, expected numbers of at least 0")
    of_class = np.array([class_weight.get(c, 1.0) for c in known], np.float64)
    return np.asarray(of_class[np.searchsorted(classes, y)])


def _balanced(y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """All classes weigh the same in sum; a row of weight 0 is none."""
    codes = np.unique(y, return_inverse=True)[1]
    total = np.bincount(codes, sample_weight).astype(np.float64)
    there = total > 0
    return np.asarray((total.sum() / (there.sum() * np.where(there, total, 1)))[codes])
