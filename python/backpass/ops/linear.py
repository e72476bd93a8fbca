"""The linear layer: a product, a bias, and the activation that follows it."""

import numpy as np

from .contract import as_rows, op
from .formulas import ACTIVATIONS


@op(
    "x[*,I] weight[I,O] bias[O]? -> y[*,O] slope[*,O]?",
    samples={"activation": [*ACTIVATIONS], "alpha": [0.7]},
    padded=("x", "y", "slope"),
    activates=True,
)
def linear_forward(x, weight, bias, y, slope, activation: str = "identity", alpha: float = 0.0):
    """y = f(x W + b); slope = f'(x W + b) for the activations whose slope y does not tell."""
    np.matmul(x, weight, out=y)
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
    x, weight, dy, slope, dx, dweight, dbias, activation: str = "identity", alpha: float = 0.0
):
    """dW = xᵀ dy, db = Σ dy, dx = (dy Wᵀ) f'(z), where x = f(z) is what the activation before this layer gave.

    f'(z) is read from `slope` where that is given, else computed from x.
    """
    rows = as_rows(dy)
    if dweight is not None:
        np.matmul(as_rows(x).T, rows, out=dweight)
    if dbias is not None:
        np.sum(rows, axis=0, out=dbias)
    if dx is not None:
        np.matmul(dy, weight.T, out=dx)
        if slope is not None:
            dx *= slope
        elif activation != "identity":
            dx *= ACTIVATIONS[activation].slope(x, alpha)
