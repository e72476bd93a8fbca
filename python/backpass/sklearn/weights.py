"""Weights of rows: sample_weight times the parameter class_weight of the classifiers."""

from typing import Any

import numpy as np
from scipy import sparse

from ..checks import real


def row_weights(
    sample_weight: np.ndarray | None, class_weight: Any, classes: np.ndarray, y: Any, partial: bool = False
) -> np.ndarray | None:
    """Weights of the rows, (N,): sample_weight times the weights of their classes; None if neither is there.

    Args:
        y: (N,) classes, or (N, K) labels of 0 and 1, whose weights are multiplied; dense or sparse.
        partial: whether these rows are one part of the data, as in partial_fit: a part may weigh nothing.
    """
    check_some_weight(sample_weight, partial)
    if class_weight is None:
        return sample_weight
    of_class = class_weights(class_weight, classes, y, sample_weight)
    if not partial and not of_class.any():
        raise ValueError(f"class_weight is {class_weight!r:.200}, which makes the weight of every row zero")
    weight = of_class if sample_weight is None else sample_weight * of_class
    if not partial and not weight.any():
        raise ValueError(
            f"class_weight is {class_weight!r:.200}, which makes the weight zero of every row whose sample_weight is not"
        )
    return np.asarray(weight)


def check_some_weight(sample_weight: np.ndarray | None, partial: bool = False) -> None:
    """ValueError if all rows weigh nothing, unless they are one part of the data."""
    if sample_weight is not None and not partial and not sample_weight.any():
        raise ValueError("sample_weight is zero for every row, expected at least one row that counts")


def class_weights(
    class_weight: Any, classes: np.ndarray, y: Any, sample_weight: np.ndarray | None
) -> np.ndarray:
    """Weights of the rows by their classes, (N,). A class that a dict does not name weighs 1.

    Args:
        class_weight: "balanced" or {class: weight}; for labels "balanced" or a list of K dicts. "balanced" counts rows with
            their sample_weight. As in scikit-learn a dict may name classes that do not occur (in a fold, say) if it leaves
            out none that does.
    """
    y = y.toarray() if sparse.issparse(y) else y
    columns = y[:, None] if y.ndim == 1 else y
    if isinstance(class_weight, str) and class_weight == "balanced":
        return np.asarray(np.prod([_balanced(column, sample_weight) for column in columns.T], axis=0))
    if y.ndim == 1:
        return _by_dict(class_weight, classes, y, "class_weight")
    if not isinstance(class_weight, list) or len(class_weight) != y.shape[1]:
        raise ValueError(
            f"class_weight is {class_weight!r:.200}, expected None, 'balanced' or a list of {y.shape[1]} dicts, one for each"
            " label"
        )
    binary = np.array([0, 1])
    factors = [
        _by_dict(weights, binary, column, f"class_weight[{label}]")
        for label, (weights, column) in enumerate(zip(class_weight, columns.T, strict=True))
    ]
    return np.asarray(np.prod(factors, axis=0))


def _by_dict(class_weight: Any, classes: np.ndarray, y: np.ndarray, name: str) -> np.ndarray:
    if not isinstance(class_weight, dict):
        raise ValueError(f"{name} is {class_weight!r:.200}, expected None, 'balanced' or {{class: weight}}")
    labels = classes.tolist()
    if (unknown := set(class_weight) - set(labels)) and not set(labels) <= set(class_weight):
        raise ValueError(f"{name} names {sorted(unknown, key=str)}, expected classes of {labels}")
    if not all(0 <= real(weight) < np.inf for weight in class_weight.values()):
        raise ValueError(f"{name} is {class_weight!r:.200}, expected numbers of at least 0")
    of_class = np.array([class_weight.get(label, 1.0) for label in labels], np.float64)
    if not of_class.any():
        raise ValueError(f"{name} is {class_weight!r:.200}, which makes the weight of every row zero")
    return np.asarray(of_class[np.searchsorted(classes, y)])


def _balanced(y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Weights by which all classes weigh the same in sum; a row of weight 0 does not count."""
    codes = np.unique(y, return_inverse=True)[1]
    total = np.bincount(codes, sample_weight).astype(np.float64)
    counts = total > 0
    return np.asarray((total.sum() / (counts.sum() * np.where(counts, total, 1)))[codes])
