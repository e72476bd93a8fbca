"""Which columns are categories, and how wide their embeddings are: categorical_features and embedding_dim."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from ...checks import is_whole
from ...data.categories import is_categorical
from ...data.sparse import is_sparse

# The rule of fast.ai's courses: half of the categories, at most these.
WIDEST = 50
GOES_ON = "partial_fit and warm_start continue with the fitted network"
EXPECTED = 'expected None, "from_dtype", indices, names, or a mask with a bool for each column'


def chosen_columns(estimator: Any, X: Any, fresh: bool) -> np.ndarray | None:
    """The columns of categories of a fit; ValueError where one that goes on with a network was given others than that has."""
    chosen, fitted = estimator.categorical_features, getattr(estimator, "is_categorical_", None)
    if fresh:
        return categorical_mask(X, chosen)
    if chosen is None and fitted is None:
        return None
    validate_data(estimator, X, reset=False, skip_check_array=True)
    # Where dtypes choose, those of the first fit have.
    mask = fitted if isinstance(chosen, str) else categorical_mask(X, chosen)
    if not np.array_equal([] if mask is None else mask, [] if fitted is None else fitted):
        expected = None if fitted is None else np.flatnonzero(fitted).tolist()
        raise ValueError(f"categorical_features is {chosen!r:.80}, expected {expected}: {GOES_ON}")
    if mask is not None:
        fitted_dims = [table.shape[1] for table in estimator.embeddings_]
        dims = embedding_dims(estimator.embedding_dim, names_of(columns_of(X), mask), estimator.categories_)
        if dims != fitted_dims:
            raise ValueError(
                f"embedding_dim is {estimator.embedding_dim!r:.80}, which makes {dims}, expected {fitted_dims}: {GOES_ON}"
            )
    return mask


def categorical_mask(X: Any, chosen: Any) -> np.ndarray | None:
    """The columns of categories, (features,) bools, by the rules of scikit-learn's HistGradientBoosting; None for none."""
    if chosen is None or (isinstance(chosen, str) and not hasattr(X, "columns")):
        return None
    names = [*getattr(X, "columns", ())]
    if isinstance(chosen, str):
        mask = np.array([is_categorical(column_at(X, place)) for place in np.arange(len(names))], bool)
        return mask if mask.any() else None
    features = np.array(chosen)
    total = columns_of(X).shape[1]
    shown = f"categorical_features is {chosen!r:.80}"
    if features.size == 0:
        return None
    if features.ndim != 1:
        raise ValueError(f"{shown}, {EXPECTED}")
    if features.dtype.kind == "b":
        if len(features) != total:
            raise ValueError(f"{shown}, a mask of {len(features)}, but X has {total} columns")
        return features if features.any() else None
    mask = np.zeros(total, bool)
    if features.dtype.kind in "iu":
        if features.min() < 0 or features.max() >= total:
            raise ValueError(f"{shown}, expected indices from 0 to {total - 1}: X has {total} columns")
        mask[features] = True
        return mask
    items = [*chosen]
    if not all(isinstance(item, str) for item in items):
        raise ValueError(f"{shown}, {EXPECTED}")
    if not names:
        raise ValueError(f"{shown}, but X has no names of columns: expected indices or a mask")
    for name in items:
        if name not in names:
            raise ValueError(f"{shown}, but X has no column {name!r}: it has {names!r:.200}")
        mask[names.index(name)] = True
    return mask


def check_dim(estimator: Any) -> None:
    """Refuse an embedding_dim that nothing would read, or that is none."""
    dim = estimator.embedding_dim
    if dim is None:
        return
    if estimator.categorical_features is None:
        raise ValueError(
            f"embedding_dim is {dim!r:.80}, but categorical_features is None, so that nothing is embedded"
        )
    if isinstance(dim, dict):
        for name, value in dim.items():
            if value != "auto" and not (is_whole(value) and value >= 1):
                raise ValueError(
                    f"embedding_dim[{name!r}] is {value!r:.80}, expected 'auto' or an integer of at least 1"
                )


def embedding_dims(dim: Any, names: Sequence[Any], known: Sequence[np.ndarray]) -> list[int]:
    """The width of each column's embedding. names: of the columns with categories, or their numbers in an array."""
    by_name = dim if isinstance(dim, dict) else dict.fromkeys(names, dim)
    if unknown := [name for name in by_name if name not in names]:
        raise ValueError(
            f"embedding_dim names {unknown[0]!r}, expected columns of categories, which are {[*names]!r:.200}"
        )
    return [_width(by_name.get(name), len(labels)) for name, labels in zip(names, known, strict=True)]


def _width(dim: Any, cardinality: int) -> int:
    return min(WIDEST, (cardinality + 1) // 2) if dim in (None, "auto") else int(dim)


def columns_of(X: Any) -> Any:
    """X as something whose columns can be taken: a frame as it is, a list as an array of its objects."""
    if is_sparse(X):
        raise TypeError(
            f"X is a sparse {type(X).__name__}, but categorical_features is given: expected a frame, or X.toarray()"
        )
    if hasattr(X, "columns"):
        return X
    return check_array(X, dtype=None if hasattr(X, "dtype") else object, ensure_all_finite=False)


def column_at(X: Any, places: Any) -> Any:
    """Columns by their places: a frame or an array of several, a series or a vector of one."""
    if hasattr(X, "iloc"):
        return X.iloc[:, places]
    return X[:, places.tolist()] if hasattr(X, "columns") else X[:, places]


def names_of(X: Any, mask: np.ndarray) -> list[Any]:
    """The names of the columns of categories, of an array their numbers."""
    names = [*getattr(X, "columns", range(len(mask)))]
    return [name for name, chosen in zip(names, mask, strict=True) if chosen]
