"""What users pass as y and as weights, turned into arrays that the programs can read; every complaint names the argument."""

from typing import Any

import numpy as np

from ..losses import Loss
from ..losses.base import ClassLoss
from ..program import Rows, Several, Target, on_each
from .arrays import as_array, cast, check_finite, check_rows, plain, read


def targets(y: Any, loss: Loss, output: Any, dtype: np.dtype[Any], rows: int) -> Rows:
    """y as the loss wants it, checked; output: the shape of a row of the network's output, or Several."""
    several = loss.parts(y, output)

    def checked(name: str, loss: Loss, y: Any, output: Any) -> np.ndarray:
        array = as_array(name, y)
        if array.ndim == 0:
            raise ValueError(f"{name} is a single number, expected one target for each row of X")
        check_rows(name, array, rows)
        if array.dtype.kind == "f":
            check_finite(name, array if array.ndim > 1 else array[:, None])
        try:
            with np.errstate(all="ignore"):
                out = plain(loss.targets(array, output, dtype))
        except (TypeError, ValueError) as error:
            raise error if name == "y" else type(error)(f"{name}: {error}") from None
        if out.dtype.kind == "f" and array.dtype.kind == "f":
            check_finite(name, out, f" (a number too large for {out.dtype})")
        return out

    if several is None:
        return checked("y", loss, y, output)
    return Several(
        {name: checked(f"y{several.label(name)}", *part) for name, part in several.parts.items()},
        several.named,
    )


def own_targets(y: Any, rows: int) -> Rows:
    """y for a callable loss: any array with a row for each row of X, or a dict or tuple of such."""
    several = Several.of_arrays(y)
    if several is None:
        return _own_target("y", y, rows)
    parts = {name: _own_target(f"y{several.label(name)}", part, rows) for name, part in several.parts.items()}
    return Several(parts, several.named)


def target_of(y: Rows) -> Target:
    """What a plan has to know of targets: shape of a row and dtype, for each of several."""
    return on_each(lambda array: (array.shape[1:], array.dtype), y)  # type: ignore[no-any-return]


def weight_shape(loss: Loss, target: Target) -> tuple[int, ...]:
    """The shape of the weights of one row."""
    return loss.weight_shape(*target) if isinstance(target, tuple) else ()


def _own_target(name: str, y: Any, rows: int) -> np.ndarray:
    array = read(name, y)
    if array.ndim == 0:
        raise ValueError(f"{name} is a single value, expected one target for each row of X")
    check_rows(name, array, rows)
    return array


def row_weights(
    sample_weight: Any,
    class_weight: Any,
    y: Rows,
    dtype: np.dtype[Any],
    classes: int,
    shape: tuple[int, ...],
    lengths: np.ndarray | None = None,
) -> np.ndarray | None:
    """sample_weight times class_weight for each row of predictions, (N, *shape); None if neither is given.

    lengths: how many steps of each row "balanced" counts, default all.
    """
    if sample_weight is None and class_weight is None:
        return None
    rows = (len(y), *shape)
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
        if isinstance(y, Several):
            raise ValueError(
                "class_weight is given, but y holds several targets: give it to a loss, as weight="
            )
        by_class = per_class(class_weight, class_counts(y, classes, lengths)).astype(dtype)
        labels = class_labels(y, classes)[0]
        counted = (labels >= 0) & (labels < len(by_class))  # not the targets that the loss ignores
        weight = weight * np.where(counted, by_class[np.where(counted, labels, 0)], 1)
    return np.ascontiguousarray(weight)


def class_counts(y: Rows, classes: int, lengths: np.ndarray | None = None) -> np.ndarray:
    """How many targets each class has, without those that the loss ignores, and those behind the length of a row."""
    labels, classes = class_labels(y, classes)
    if lengths is not None and labels.ndim > 1:
        labels = labels[np.arange(labels.shape[1]) < lengths[:, None]]
    return np.bincount(labels[(labels >= 0) & (labels < classes)], minlength=classes)


def class_labels(y: Rows, classes: int) -> tuple[np.ndarray, int]:
    """Targets as class indices, and how many classes there are: two where a single output is asked for 0 or 1."""
    if isinstance(y, Several):
        raise ValueError("class_weight is given, but y holds several targets: give it to a loss, as weight=")
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


def classes_of(loss: Loss | None, y: Rows) -> np.ndarray:
    """The class of each row for `order.balanced`, (N,); of rows that the loss ignores -1. y: targets as the loss takes them."""
    if isinstance(y, Several):
        raise ValueError(f"sampler is 'balanced', but y is {y.kind()}, expected one class for each row")
    numbers = y.dtype.kind == "f" and (loss is None or loss.metric is None)
    if y.size != len(y) or numbers:
        described = f"{y.dtype} of shape {y.shape}"
        raise ValueError(f"sampler is 'balanced', but y is {described}, expected one class for each row")
    labels = y.reshape(-1)
    classes: np.ndarray = np.unique(labels, return_inverse=True)[1]
    if isinstance(loss, ClassLoss):
        classes[(labels < 0) | (labels == loss.ignore_index)] = -1
    return classes
