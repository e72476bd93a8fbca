"""Activations as layers. After a Linear layer they cost nothing of their own: the program fuses the two."""

from ..contract import op
from ..formulas import ACTIVATIONS, SOFTPLUS_THRESHOLD
from ..program import Builder, Tensor
from .layer import Layer


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


class Activation(Layer):
    """Base of the activations: an elementwise function of any shape."""

    def __init__(self, activation: str, alpha: float = 0.0) -> None:
        super().__init__()
        self.activation = activation
        self.alpha = alpha

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        stores = ACTIVATIONS[self.activation].stores_slope and builder.training
        return builder.emit(
            "activation_forward",
            want=["slope"] if stores else [],
            x=x,
            activation=self.activation,
            alpha=self.alpha,
        )


class Identity(Activation):
    """y = x."""

    def __init__(self) -> None:
        super().__init__("identity")

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return x


class ReLU(Activation):
    """y = max(x, 0). `inplace` is there for PyTorch's users; the program saves the memory by itself."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__("relu")


class Tanh(Activation):
    """y = tanh(x)."""

    def __init__(self) -> None:
        super().__init__("tanh")


class Sigmoid(Activation):
    """y = 1 / (1 + e^-x)."""

    def __init__(self) -> None:
        super().__init__("sigmoid")


class SiLU(Activation):
    """y = x sigmoid(x). inplace: see ReLU."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__("silu")


class GELU(Activation):
    """y = x Φ(x), Φ the normal distribution function; `approximate="tanh"` takes its usual approximation."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = self.one_of("approximate", approximate, ["none", "tanh"])
        super().__init__("gelu" if approximate == "none" else "gelu_tanh")


class LeakyReLU(Activation):
    """y = x where x ≥ 0, else negative_slope · x; negative_slope in [0, 1], default 0.01. inplace: see ReLU."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__("leaky_relu", self.in_range("negative_slope", negative_slope, 0, 1))


class ELU(Activation):
    """y = x where x > 0, else alpha (e^x - 1); alpha ≥ 0, default 1. inplace: see ReLU."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__("elu", self.in_range("alpha", alpha, 0, 1e6))


class Softplus(Activation):
    """y = log(1 + e^(beta x)) / beta, and x itself where beta x > threshold; beta > 0, default 1; threshold is always 20."""

    def __init__(self, beta: float = 1.0, threshold: float = SOFTPLUS_THRESHOLD) -> None:
        super().__init__("softplus", self.in_range("beta", beta, 1e-6, 1e6))
        self.in_range("threshold", threshold, SOFTPLUS_THRESHOLD, SOFTPLUS_THRESHOLD)
