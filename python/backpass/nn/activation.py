"""Activations as layers. After a Linear layer they cost nothing of their own: the program fuses the two."""

from typing import ClassVar, Literal

from ..checks import flag
from ..ops.formulas import SOFTPLUS_THRESHOLD
from ..program import Builder, Tensor
from ..program.activation import activation
from .module import Module


class Activation(Module):
    """Base of the activations: an elementwise function of any shape, one of `ops.formulas.ACTIVATIONS`."""

    formula: ClassVar[str]

    def parameter_of_formula(self) -> float:
        """The number that the formula calls alpha."""
        return 0.0

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return activation(builder, x, self.formula, self.parameter_of_formula())


class Identity(Activation):
    """Identity: y = x.

    Shapes: input and output alike.

    Example:
        >>> nn.Identity()
        Identity()
    """

    formula = "identity"

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return x


class ReLU(Activation):
    """Rectified linear unit: y = max(x, 0) (Nair and Hinton 2010).

    Args:
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        TypeError: inplace is neither True nor False.

    Example:
        >>> nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        Sequential(Linear(4, 8), ReLU())
    """

    formula = "relu"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        flag(f"{type(self).__name__}: inplace", inplace)


class Tanh(Activation):
    """Hyperbolic tangent: y = (e^x - e^-x) / (e^x + e^-x).

    Shapes: input and output alike.

    Example:
        >>> nn.Tanh()
        Tanh()
    """

    formula = "tanh"


class Sigmoid(Activation):
    """Logistic sigmoid: y = 1 / (1 + e^-x).

    Shapes: input and output alike. In front of BCEWithLogitsLoss leave it out: that loss takes x itself.

    Example:
        >>> nn.Sigmoid()
        Sigmoid()
    """

    gives = "probabilities"
    formula = "sigmoid"


class SiLU(Activation):
    """Sigmoid linear unit, also called swish: y = x / (1 + e^-x) (Elfwing et al. 2018).

    Args:
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        TypeError: inplace is neither True nor False.

    Example:
        >>> nn.SiLU()
        SiLU()
    """

    formula = "silu"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        flag(f"{type(self).__name__}: inplace", inplace)


class GELU(Activation):
    """Gaussian error linear unit: y = x Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016).

    Args:
        approximate: "none" (default) for Φ itself, "tanh" for ½ (1 + tanh(√(2/π) (x + 0.044715 x³))).

    Shapes: input and output alike.

    Raises:
        ValueError: another word for approximate.

    Example:
        >>> nn.GELU(approximate="tanh")
        GELU(approximate='tanh')
    """

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        super().__init__()
        self.approximate = self.one_of("approximate", approximate, ["none", "tanh"])

    @property
    def formula(self) -> str:  # type: ignore[override]
        return "gelu" if self.approximate == "none" else "gelu_tanh"


class LeakyReLU(Activation):
    """Leaky rectified linear unit: y = x where x ≥ 0, else negative_slope · x (Maas et al. 2013).

    Args:
        negative_slope: in [0, 1], default 0.01.
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        ValueError: a negative_slope outside [0, 1].

    Example:
        >>> nn.LeakyReLU(0.2)
        LeakyReLU(negative_slope=0.2)
    """

    formula = "leaky_relu"

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = self.in_range("negative_slope", negative_slope, 0, 1)

    def parameter_of_formula(self) -> float:
        return self.negative_slope


class ELU(Activation):
    """Exponential linear unit: y = x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016).

    Args:
        alpha: in [0, 1e6], default 1.
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        ValueError: an alpha outside [0, 1e6].

    Example:
        >>> nn.ELU(0.5)
        ELU(alpha=0.5)
    """

    formula = "elu"

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = self.in_range("alpha", alpha, 0, 1e6)

    def parameter_of_formula(self) -> float:
        return self.alpha


class Softplus(Activation):
    """Softplus: y = log(1 + e^(beta x)) / beta, and x itself where beta x > threshold (Dugas et al. 2001).

    Args:
        beta: in [1e-6, 1e6], default 1.
        threshold: 20 (default), the only one there is.

    Shapes: input and output alike.

    Raises:
        ValueError: a beta outside [1e-6, 1e6], another threshold.

    Example:
        >>> nn.Softplus(2.0)
        Softplus(beta=2.0)
    """

    formula = "softplus"

    def __init__(self, beta: float = 1.0, threshold: float = SOFTPLUS_THRESHOLD) -> None:
        super().__init__()
        self.beta = self.in_range("beta", beta, 1e-6, 1e6)
        self.threshold = self.in_range("threshold", threshold, SOFTPLUS_THRESHOLD, SOFTPLUS_THRESHOLD)

    def parameter_of_formula(self) -> float:
        return self.beta
