"""Reading of X, y and the other arguments of fit, by scikit-learn's checks; refusals say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from ..data.arrays import as_array, check_finite, sum_is_finite
from ..data.categories import is_categorical


def validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """scikit-learn's validate_data for X, or X and y; a refusal names the column of a frame, and what to do."""
    # A y that may be one column alone is looked at in other ways.
    known = (not y or options.get("multi_output", False)) and _passes(
        X, *y, dtype=options.get("dtype", (np.float64, np.float32))
    )
    with explaining(estimator, X, *y, **options):
        return validate_data(estimator, X, *y, skip_check_array=known, **options)


def _passes(X: Any, *y: Any, dtype: Any) -> bool:
    """Whether scikit-learn's checks would hand plain arrays back as they are: they take longer than an epoch of small data."""
    arrays = (X, *y)
    with np.errstate(all="ignore"):
        return (
            all(type(a) is np.ndarray and a.size and a.dtype.kind in "biuf" for a in arrays)
            and X.ndim == 2
            and X.flags.c_contiguous
            and X.dtype in (dtype if isinstance(dtype, tuple) else (dtype,))
            and all(a.ndim in (1, 2) and len(a) == len(X) for a in y)
            and all(a.dtype.kind != "f" or sum_is_finite(a) for a in arrays)
        )


@contextmanager
def explaining(estimator: Any, X: Any, *y: Any, **options: Any) -> Iterator[None]:
    """A refusal by scikit-learn's checks names the column of a frame, and what to do."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:
        reason = _reason("X", X) or (_reason("y", *y) if options.get("y_numeric") else "")
        if reason and hasattr(estimator, "categorical_features") and _has_labels(X):
            reason += "; categorical_features='from_dtype', or the names of such columns, embeds them"
        if not reason:
            raise
        refusal = ValueError if isinstance(error, ValueError) else TypeError
        raise refusal(f"{error}\n{reason}") from error


def _reason(name: str, values: Any) -> str:
    """Reason why values are no numbers, or nothing."""
    try:
        if hasattr(values, "columns"):
            if not len(values.columns):
                raise ValueError(f"{name} has no columns")
            for column in values.columns:
                _check_column(f"{name}: column {column!r}", values[column])
        elif hasattr(values, "__iter__") and not hasattr(values, "__len__"):
            raise TypeError(
                f"{name} is a {type(values).__name__}, expected an array or a frame; batches go to partial_fit one by one"
            )
        elif (name == "y" and values is not None) or getattr(values, "requires_grad", False):
            _check_column(name, values)
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def _has_labels(X: Any) -> bool:
    """True for a frame with a column of categories or strings."""
    columns = [X[name] for name in getattr(X, "columns", ())]
    return any(is_categorical(c) or any(isinstance(v, str) for v in np.asarray(c)[:100]) for c in columns)


def _check_column(name: str, column: Any) -> None:
    """TypeError or ValueError if a column of a frame, or an array, holds anything but finite numbers."""
    try:
        array = as_array(name, column)
    except TypeError:
        if not _holds_numbers(column):
            raise
        array = np.asarray(column, dtype=np.float64)
    if array.dtype.kind == "f" and array.ndim:
        check_finite(name, array)


def _holds_numbers(column: Any) -> bool:
    """True for a column of Python objects that are numbers."""
    try:
        return np.asarray(column).dtype.kind == "O" and np.asarray(column, dtype=np.float64).ndim > 0
    except (RuntimeError, TypeError, ValueError):
        return False


def check_classes(y: Any) -> None:
    """scikit-learn's check that these are classes; for Python objects it says what to do."""
    try:
        check_classification_targets(y)
    except ValueError as error:
        if getattr(getattr(y, "dtype", None), "kind", "") != "O":
            raise
        raise ValueError(
            f"{error}\ny has dtype object, expected labels of one kind, such as y.astype(int)"
        ) from error


def label_binarizer(y: Any) -> LabelBinarizer:
    """scikit-learn's LabelBinarizer, fitted on the labels y: without its checks where these are plain integers that recur."""
    binarizer = LabelBinarizer()
    if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biu" and y.dtype.isnative:
        classes = np.unique(y)
        if 0 < 2 * len(classes) <= len(y):  # scikit-learn may warn of more
            binarizer.classes_, binarizer.sparse_input_ = classes, False
            binarizer.y_type_ = "binary" if len(classes) <= 2 else "multiclass"
            return binarizer
    return binarizer.fit(y)


def dense_targets(y: Any) -> np.ndarray:
    """Targets of a regressor as an array; refuses sparse matrices and strings, which scikit-learn's checks let through."""
    if sparse.issparse(y):
        raise TypeError(f"y is a {type(y).__name__}, expected a dense array: y.toarray()")
    if np.asarray(y).dtype.kind in "US":
        raise ValueError(_reason("y", y))
    return np.asarray(y)


def check_order(y: Any, sample_weight: Any, classes: Any) -> None:
    """Refuse classes where partial_fit takes sample_weight, and weights where it takes classes.

    The third positional argument is sample_weight here and in scikit-learn's MLPs, and classes in its other classifiers.
    """
    rows = np.size(y, 0) if np.ndim(y) else 0
    if sample_weight is not None and classes is None:
        weights = np.asarray(sample_weight)
        of_another_shape = weights.shape not in ((), (rows,))
        if weights.dtype.kind in "US" or (of_another_shape and set() < _distinct(y) <= _distinct(weights)):
            raise ValueError(
                f"sample_weight holds {weights.ravel()[:9].tolist()!r:.80}, which look like classes: expected partial_fit(X, y,"
                " classes=...)"
            )
    array = np.asarray(classes)
    if array.dtype.kind != "f" or array.shape != (rows,) or np.array_equal(array, y):
        return
    if len(_distinct(array)) < rows or not _distinct(y) <= _distinct(array):
        raise ValueError(
            f"classes holds {rows} numbers such as {array[0]:.6g}, which look like weights: expected partial_fit(X, y,"
            " sample_weight=...)"
        )


def _distinct(values: Any) -> set[Any]:
    """Set of the distinct values; empty for values that NumPy cannot sort."""
    try:
        return set() if sparse.issparse(values) else set(np.unique(np.asarray(values)).tolist())
    except TypeError:
        return set()
