"""The constructor arguments of the extreme learning machines, checked when `fit` needs them, as scikit-learn wants it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import nn

ACTIVATIONS: dict[str, Callable[[], nn.Layer]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


def check_settings(elm: Any) -> None:
    """Complain of the first argument of the constructor that does not fit."""
    for name, low in (("n_hidden", 1), ("chunk_size", 1)):
        value = getattr(elm, name)
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not (whole and value >= low) and not (name == "chunk_size" and value is None):
            raise ValueError(f"{name} is {value!r}, expected an integer of at least {low}")
    for name, known in (("activation", [*ACTIVATIONS]), ("solver", ["auto", "cholesky", "svd"])):
        if getattr(elm, name) not in known:
            raise ValueError(f"{name} is {getattr(elm, name)!r}, expected one of {known}")
    for name in ("weight_scale", "bias_scale"):
        number(name, getattr(elm, name))
    if elm.alpha is not None and not (isinstance(elm.alpha, str) and elm.alpha == "loo"):
        number("alpha", elm.alpha, "a number of at least 0, 'loo' or None")
    if elm.alphas is not None:
        grid = np.asarray(elm.alphas)
        if grid.ndim != 1 or not grid.size or grid.dtype.kind not in "fiu" or not (grid > 0).all():
            raise ValueError(f"alphas is {elm.alphas!r}, expected a list of numbers above 0, or None")


def number(name: str, value: Any, expected: str = "a number of at least 0") -> None:
    """Check a finite number of at least 0."""
    fits = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not fits or not 0 <= value < np.inf:
        raise ValueError(f"{name} is {value!r}, expected {expected}")
