"""Checks of the extreme learning machines' parameters, made when `fit` needs them, as scikit-learn wants it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ... import nn
from ...backends.threads import MOST as MOST_THREADS
from ...checks import flag, is_name, is_whole, real
from ..hints import value_hint

MOST = 2**31 - 1

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
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
    """Refuse the first parameter that is out of range."""
    for name, most in (("n_hidden", MOST), ("chunk_size", MOST), ("n_threads", MOST_THREADS)):
        value = getattr(elm, name)
        if not (is_whole(value) and 1 <= value <= most) and not (value is None and name != "n_hidden"):
            raise ValueError(
                f"{name} is {value!r}, expected an integer from 1 to {most}{value_hint(name, value)}"
            )
    for name, options in (("activation", [*ACTIVATIONS]), ("solver", ["auto", "cholesky", "svd"])):
        if not is_name(getattr(elm, name), options):
            hint = value_hint(name, getattr(elm, name), options)
            raise ValueError(f"{name} is {getattr(elm, name)!r}, expected one of {options}{hint}")
    flag("fit_intercept", elm.fit_intercept)
    try:
        check_random_state(elm.random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(f"random_state is {elm.random_state!r:.80}: {error}") from error
    for name in ("weight_scale", "bias_scale"):
        number(name, getattr(elm, name))
    if elm.alpha is not None and not (isinstance(elm.alpha, str) and elm.alpha == "loo"):
        number("alpha", elm.alpha, "a number of at least 0, 'loo' or None", ["loo"])
    elif elm.alpha is not None and elm.solver == "cholesky":
        raise ValueError(
            "solver is 'cholesky', but alpha='loo' takes eigenvalues or singular values: expected solver='auto' or 'svd'"
        )
    if elm.alphas is not None:
        grid = np.asarray(elm.alphas)
        if grid.ndim != 1 or not grid.size or grid.dtype.kind not in "fiu" or not (grid > 0).all():
            raise ValueError(f"alphas is {elm.alphas!r}, expected a list of numbers above 0, or None")


def number(
    name: str, value: Any, expected: str = "a number of at least 0", options: Sequence[str] = ()
) -> None:
    """Check a finite number of at least 0. options: strings in its place, for a hint."""
    if not 0 <= real(value) < np.inf:
        raise ValueError(f"{name} is {value!r}, expected {expected}{value_hint(name, value, options)}")


# Parameters of the random layer and of the sums over the rows: they are settled when the layer is drawn.
SETTLED = ("n_hidden", "activation", "weight_scale", "bias_scale", "fit_intercept", "random_state")


def settings_of(elm: Any) -> dict[str, Any]:
    """Parameters that partial_fit compares with those of its first call, as numbers, strings, lists and None."""
    state = elm.random_state
    return {name: getattr(elm, name) for name in (*SETTLED, "alpha", "backend")} | {
        "random_state": "a RandomState" if isinstance(state, np.random.RandomState) else state,
        "alphas": None if elm.alphas is None else np.asarray(elm.alphas).tolist(),
    }


def check_drawn(elm: Any, drawn: dict[str, Any]) -> None:
    """Refuse parameters that were changed too late to act in partial_fit. drawn: `settings_of` when the layer was drawn."""
    settings = settings_of(elm)
    for name in SETTLED:
        if settings[name] != drawn[name]:
            raise ValueError(
                f"{name} is {settings[name]!r}, expected {drawn[name]!r}: partial_fit goes on with the hidden layer that was"
                " drawn; fit draws another one"
            )
    if not isinstance(elm.alpha, str):
        return
    for name in ("alpha", "alphas"):
        if settings[name] != drawn[name]:
            raise ValueError(
                f"{name} is {settings[name]!r:.80}, but partial_fit keeps no rows to leave out: give it to the first call, or a"
                " number as alpha"
            )
