"""What users pass as y and as weights, turned into arrays that the programs can read; every complaint names the argument."""

from typing import Any

import numpy as np

from ..losses import Loss
from ..losses.base import ClassLoss
from .arrays import as_array, cast, check_finite, check_rows, plain, read


def targets(y: Any, loss: Loss, output: tuple[int, ...], dtype: np.dtype[Any], rows: int) -> np.ndarray:
    """y as the loss wants it, checked."""
    array = as_array("y", y)
    if array.ndim == 0:
        raise ValueError("y is a single number, expected one target for each row of X")
    check_rows("y", array, rows)
    if array.dtype.kind == "f":
        check_finite("y", array if array.ndim > 1 else array[:, None])
    with np.errstate(all="ignore"):
        out = plain(loss.targets(array, output, dtype))
    if out.dtype.kind == "f" and array.dtype.kind == "f":
        check_finite("y", out, f" (a number too large for {out.dtype})")
    return out


def own_targets(y: Any, rows: int) -> np.ndarray:
    """y for a callable loss: any array with a row for each row of X."""
    array = read("y", y)
    if array.ndim == 0:
        raise ValueError("y is a single value, expected one target for each row of X")
    check_rows("y", array, rows)
    return array


def row_weights(
    sample_weight: Any, class_weight: Any, y: np.ndarray, dtype: np.dtype[Any], classes: int
) -> np.ndarray | None:
    """sample_weight times class_weight for each row of predictions, (N, ...); None if neither is given."""
    if sample_weight is None and class_weight is None:
        return None
    rows = y.shape if y.dtype == np.int64 else y.shape[:-1]
    weight = np.ones(len(y), dtype)
    if sample_weight is not None:
        row_weight = as_array("sample_weight", sample_weight)
        if row_weight.shape != (len(y),):
            raise ValueError(f"sample_weight has shape {row_weight.shape}, expected ({len(y)},)")
        check_finite("sample_weight", row_weight[:, None])
        if (row_weight < 0).any():
            raise ValueError(f"sample_weight holds {row_weight.min()}, expected numbers of at least 0")
        weight = cast("sample_weight", row_weight, dtype)
    weight = np.broadcast_to(weight.reshape(-1, *[1] * (len(rows) - 1)), rows)
    if class_weight is not None:
        by_class = per_class(class_weight, class_counts(y, classes)).astype(dtype)
        labels = class_labels(y, classes)[0]
        counted = (labels >= 0) & (labels < len(by_class))  # not the targets that the loss ignores
        weight = weight * np.where(counted, by_class[np.where(counted, labels, 0)], 1)
    return np.ascontiguousarray(weight)


def class_counts(y: np.ndarray, classes: int) -> np.ndarray:
    """How many targets each class has, without those that the loss ignores."""
    labels, classes = class_labels(y, classes)
    return np.bincount(labels[(labels >= 0) & (labels < classes)], minlength=classes)


def class_labels(y: np.ndarray, classes: int) -> tuple[np.ndarray, int]:
    """Targets as class indices, and how many classes there are: two where a single output is asked for 0 or 1."""
    if y.dtype == np.int64:
        return y, classes
    if y.size != len(y) or not ((y == 0) | (y == 1)).all():
        raise ValueError(
            "class_weight is given, but y holds neither class indices nor one 0 or 1 for each row"
        )
    return y.reshape(-1).astype(np.int64), 2


def per_class(class_weight: Any, counts: np.ndarray) -> np.ndarray:
    """The weight of each class; counts: of the targets, by class."""
    classes = len(counts)
    if isinstance(class_weight, str) and class_weight == "balanced":
        return np.asarray(counts.sum() / (max(int((counts > 0).sum()), 1) * np.maximum(counts, 1)))
    if isinstance(class_weight, dict):
        if unknown := [c for c in class_weight if c not in range(classes)]:
            raise ValueError(f"class_weight names class {unknown[0]!r}, expected classes 0 to {classes - 1}")
        class_weight = [class_weight.get(c, 1.0) for c in range(classes)]
    elif isinstance(class_weight, str):
        raise ValueError(
            f"class_weight is {class_weight!r}, expected a dict, 'balanced' or ({classes},) numbers"
        )
    weights = as_array("class_weight", class_weight)
    if weights.shape != (classes,):
        raise ValueError(
            f"class_weight has shape {weights.shape}, expected a dict, 'balanced' or ({classes},) numbers"
        )
    if wrong_weights := [(c, w) for c, w in enumerate(weights.tolist()) if not 0 <= w < np.inf]:
        raise ValueError(
            f"class_weight is {wrong_weights[0][1]} for class {wrong_weights[0][0]}, expected finite numbers of at least 0"
        )
    return np.asarray(weights, np.float64)


def classes_of(loss: Loss | None, y: np.ndarray) -> np.ndarray:
    """The class of each row for `order.balanced`, (N,); of rows that the loss ignores -1. y: targets as the loss takes them."""
    numbers = y.dtype.kind == "f" and (loss is None or loss.metric is None)
    if y.size != len(y) or numbers:
        described = f"{y.dtype} of shape {y.shape}"
        raise ValueError(f"sampler is 'balanced', but y is {described}, expected one class for each row")
    labels = y.reshape(-1)
    classes: np.ndarray = np.unique(labels, return_inverse=True)[1]
    if isinstance(loss, ClassLoss):
        classes[(labels < 0) | (labels == loss.ignore_index)] = -1
    return classes
