"""The precision of products that models take which do not say: float32, or what set_precision says."""

from typing import Any, Literal

import numpy as np

from ..ops.precision import check_precision

Precision = Literal["float32", "bf16x6", "bf16x3", "bf16"]

_chosen: Precision = "float32"


def get_precision() -> Precision:
    """The precision of float32 models without `precision=` of their own.

    Example:
        >>> bp.get_precision()
        'float32'
    """
    return _chosen


def set_precision(precision: Precision) -> None:
    """Choose the precision of float32 models that are made later, and do not say. float64 models take no part.

    Args:
        precision: "float32", "bf16x6", "bf16x3" or "bf16": see `Model`.

    Raises:
        ValueError: another precision.

    Example:
        >>> bp.set_precision("float32")
    """
    global _chosen
    check_precision(precision, np.dtype(np.float32))
    _chosen = precision


def checked_precision(value: Any, dtype: np.dtype[Any]) -> str:
    """A model's `precision`: None becomes the default."""
    if value is None:
        return _chosen if dtype == np.float32 else "float32"
    check_precision(value, dtype)
    return str(value)
