"""Linear layer: y = x W + b, fused with the activation that follows it."""

import numpy as np

from ..contract import as_rows, op
from ..formulas import ACTIVATIONS
from ..program import Builder, Tensor
from .init import INIT
from .layer import Layer


@op(
    "x[*,I] weight[I,O] bias[O]? -> y[*,O] slope[*,O]?",
    samples={"activation": [*ACTIVATIONS], "alpha": [0.7]},
    apart=("x", "y", "slope"),
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
    "x[*,I] weight[I,O] dy[*,O] slope[*,I]? -> dx[*,I]? dweight[I,O] dbias[O]?",
    samples={"activation": [*ACTIVATIONS], "alpha": [0.7]},
    apart=("x", "dy", "slope", "dx"),
)
def linear_backward(
    x, weight, dy, slope, dx, dweight, dbias, activation: str = "identity", alpha: float = 0.0
):
    """dW = xᵀ dy, db = Σ dy, dx = (dy Wᵀ) f'(z), where x = f(z) is what the activation before this layer gave.

    f'(z) is read from `slope` where that is given, else computed from x.
    """
    rows = as_rows(dy)
    np.matmul(as_rows(x).T, rows, out=dweight)
    if dbias is not None:
        np.sum(rows, axis=0, out=dbias)
    if dx is not None:
        np.matmul(dy, weight.T, out=dx)
        if slope is not None:
            dx *= slope
        elif activation != "identity":
            dx *= ACTIVATIONS[activation].slope(x, alpha)


class Linear(Layer):
    """y = x Wᵀ + b on the last dimension (PyTorch's `nn.Linear`).

    Args:
        in_features: size of the last dimension of the input, at least 1.
        out_features: size of the last dimension of the output, at least 1.
        bias: whether b is learned.
        init: "torch" (default, U(±1/√in_features) for W and b), "xavier_uniform", "xavier_normal", "he_uniform", "he_normal",
            "lecun_normal", "orthogonal", "zeros"; all but "torch" start b at zero.

    Shapes: input (..., in_features), output (..., out_features), `weight` (out_features, in_features), `bias` (out_features,).
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, init: str = "torch"
    ) -> None:
        super().__init__()
        self.in_features = self.positive_int("in_features", in_features)
        self.out_features = self.positive_int("out_features", out_features)
        self.init = self.one_of("init", init, INIT)
        shape = self.in_features, self.out_features
        self.parameter("weight", shape, INIT[init].weight, transposed=True)
        if self.flag("bias", bias):
            self.parameter("bias", shape[1:], INIT[init].bias, fan_in=shape[0])

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self.expect_last(x, self.in_features)
        return builder.emit("linear_forward", x=x, weight=self.tensor("weight"), bias=self.tensor("bias"))

    def __repr__(self) -> str:
        bias = "" if "bias" in self.learned else ", bias=False"
        return f"Linear({self.in_features}, {self.out_features}{bias})"
