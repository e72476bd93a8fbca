"""Element by element: activations, and the sum of two tensors."""

import numpy as np

from .contract import op
from .formulas import ACTIVATIONS


@op("x[*] -> y[*] slope[*]?", samples={"activation": [*ACTIVATIONS], "alpha": [0.7]})
def activation_forward(x, y, slope, activation: str, alpha: float = 0.0):
    """y = f(x); slope = f'(x) for the activations whose slope y does not tell."""
    formula = ACTIVATIONS[activation]
    y[...] = formula.value(x, alpha)
    if slope is not None:
        slope[...] = formula.slope(x if formula.stores_slope else y, alpha)


@op("y[*] slope[*]? dy[*] -> dx[*]", samples={"activation": [*ACTIVATIONS], "alpha": [0.7]})
def activation_backward(y, slope, dy, dx, activation: str, alpha: float = 0.0):
    """dx = dy f'(x), where f'(x) is `slope` if that is given, else computed from y."""
    dx[...] = dy * (ACTIVATIONS[activation].slope(y, alpha) if slope is None else slope)


@op("a[*] b[*] -> y[*]", alias_gradient={"a": "y", "b": "y"})
def add(a, b, y):
    """y = a + b. The gradient of both is dy itself."""
    np.add(a, b, out=y)


@op("x[*]:int64 -> y[*]", samples={"x": lambda rng, shape, dims: rng.integers(-9, 9, shape)}, strided=("x",))
def to_number(x, y):
    """y = x, in the model's dtype."""
    y[...] = x
