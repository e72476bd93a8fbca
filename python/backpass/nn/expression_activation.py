"""Activations that are expressions of others, as layers; each is one pass over memory. As functions: `nn.functional`."""

from collections.abc import Callable
from typing import ClassVar

from ..checks import flag
from ..program import Builder, Tensor
from ..program.symbolic import SymbolicTensor
from . import functional_activations as F
from .module import Module


class ExpressionActivation(Module):
    """Base of these layers: an elementwise function of any shape."""

    function: ClassVar[Callable[..., SymbolicTensor]]

    def arguments(self) -> dict[str, float]:
        """What the function takes beside x."""
        return {}

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return type(self).function(SymbolicTensor(builder, x, 1), **self.arguments()).tensor


class InPlace(ExpressionActivation):
    """Base of those that take PyTorch's inplace and nothing else."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        flag(f"{type(self).__name__}: inplace", inplace)


class Hardtanh(ExpressionActivation):
    """Hard tanh: y = x, at least min_val and at most max_val; the slope outside is 0 (Collobert 2004).

    Args:
        min_val: default -1. max_val: above min_val, default 1.
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        ValueError: a max_val that is not above min_val. TypeError: inplace is neither True nor False.

    Example:
        >>> nn.Hardtanh(-2.0, 2.0)
        Hardtanh(min_val=-2.0, max_val=2.0)
    """

    function = staticmethod(F.hardtanh)

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        flag("Hardtanh: inplace", inplace)
        self.min_val = self.in_range("min_val", min_val, -1e30, 1e30)
        self.max_val = self.in_range("max_val", max_val, -1e30, 1e30)
        if not self.max_val > self.min_val:
            raise ValueError(
                f"Hardtanh: max_val is {max_val!r}, expected a number above min_val, {min_val!r}"
            )

    def arguments(self) -> dict[str, float]:
        return {"min_val": self.min_val, "max_val": self.max_val}


class ReLU6(InPlace):
    """Rectified linear unit with a ceiling: y = x, at least 0 and at most 6 (Howard et al. 2017).

    Args:
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        TypeError: inplace is neither True nor False.

    Example:
        >>> nn.ReLU6()
        ReLU6()
    """

    function = staticmethod(F.relu6)


class Hardsigmoid(InPlace):
    """Hard sigmoid: y = x / 6 + 1/2, at least 0 and at most 1 (Howard et al. 2019).

    Args:
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        TypeError: inplace is neither True nor False.

    Example:
        >>> nn.Hardsigmoid()
        Hardsigmoid()
    """

    function = staticmethod(F.hardsigmoid)


class Hardswish(InPlace):
    """Hard swish: y = x · hardsigmoid(x) (Howard et al. 2019).

    Args:
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        TypeError: inplace is neither True nor False.

    Example:
        >>> nn.Hardswish()
        Hardswish()
    """

    function = staticmethod(F.hardswish)


class SELU(InPlace):
    """Scaled exponential linear unit: y = 1.0507 x where x > 0, else 1.7581 (e^x - 1) (Klambauer et al. 2017).

    Args:
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        TypeError: inplace is neither True nor False.

    Example:
        >>> nn.SELU()
        SELU()
    """

    function = staticmethod(F.selu)


class CELU(ExpressionActivation):
    """Continuously differentiable exponential linear unit: y = x where x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017).

    Args:
        alpha: in [1e-6, 1e6], default 1.
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        ValueError: an alpha outside [1e-6, 1e6]. TypeError: inplace is neither True nor False.

    Example:
        >>> nn.CELU(0.5)
        CELU(alpha=0.5)
    """

    function = staticmethod(F.celu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        flag("CELU: inplace", inplace)
        self.alpha = self.in_range("alpha", alpha, 1e-6, 1e6)

    def arguments(self) -> dict[str, float]:
        return {"alpha": self.alpha}


class LogSigmoid(ExpressionActivation):
    """Logarithm of the logistic sigmoid: y = log(1 / (1 + e^-x)), without overflow.

    Shapes: input and output alike.

    Example:
        >>> nn.LogSigmoid()
        LogSigmoid()
    """

    function = staticmethod(F.logsigmoid)


class Mish(InPlace):
    """Mish: y = x tanh(log(1 + e^x)) (Misra 2019).

    Args:
        inplace: accepted for PyTorch's users, default False; the program saves the memory by itself.

    Shapes: input and output alike.

    Raises:
        TypeError: inplace is neither True nor False.

    Example:
        >>> nn.Mish()
        Mish()
    """

    function = staticmethod(F.mish)


class Softsign(ExpressionActivation):
    """Softsign: y = x / (1 + |x|) (Bergstra et al. 2009).

    Shapes: input and output alike.

    Example:
        >>> nn.Softsign()
        Softsign()
    """

    function = staticmethod(F.softsign)
