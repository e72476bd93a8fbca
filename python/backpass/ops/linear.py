"""The linear layer: a product, a bias, and the activation that follows it."""

import numpy as np

from .contract import as_rows, op
from .formulas import ACTIVATIONS
from .precision import product


@op(
    "x[*,I] weight[I,O] bias[O]? -> y[*,O] slope[*,O]?",
    samples={"activation": [*ACTIVATIONS], "alpha": [0.7]},
    padded=("x", "y", "slope"),
    activates=True,
)
def linear_forward(
    x,
    weight,
    bias,
    y,
    slope,
    activation: str = "identity",
    alpha: float = 0.0,
    precision: str = "float32",
):
    """y = f(x W + b); slope = f'(x W + b) for the activations whose slope y does not tell. precision: of the product."""
    product(x, weight, y, precision)
    finish(y, bias, slope, activation, alpha)


def finish(y, bias, slope, activation: str, alpha: float) -> None:
    """y = f(y + b), and its slope."""
    formula = ACTIVATIONS[activation]
    if bias is not None:
        y += bias
    if slope is not None:
        slope[...] = (
            formula.slope(y, alpha) if formula.stores_slope else formula.slope(formula.value(y, alpha), alpha)
        )
    if activation != "identity":
        y[...] = formula.value(y, alpha)


@op(
    "x[*,I] weight[I,O] dy[*,O] slope[*,I]? -> dx[*,I]? dweight[I,O]? dbias[O]?",
    samples={"activation": [*ACTIVATIONS], "alpha": [0.7]},
    padded=("x", "dy", "slope", "dx"),
    activates=True,
)
def linear_backward(
    x,
    weight,
    dy,
    slope,
    dx,
    dweight,
    dbias,
    activation: str = "identity",
    alpha: float = 0.0,
    precision: str = "float32",
):
    """dW = xᵀ dy, db = Σ dy, dx = (dy Wᵀ) f'(z), where x = f(z) is what the activation before this layer gave.

    f'(z) is read from `slope` where that is given, else computed from x. precision: of both products.
    """
    rows = as_rows(dy)
    if dweight is not None:
        product(as_rows(x).T, rows, dweight, precision)
    if dbias is not None:
        np.sum(rows, axis=0, out=dbias)
    if dx is not None:
        product(dy, weight.T, dx, precision)
        if slope is not None:
            dx *= slope
        elif activation != "identity":
            dx *= ACTIVATIONS[activation].slope(x, alpha)
