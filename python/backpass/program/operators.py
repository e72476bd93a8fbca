"""What symbolic tensors do element by element: PyTorch's operators and methods."""

from abc import abstractmethod
from typing import Any, Self

from ..checks import is_number
from .integers import are_integral
from .symbolic_base import SymbolicBase


class Operators(SymbolicBase):
    """Operators and element-wise methods, each one function of an expression (`ops/expression.py`) or an activation."""

    @abstractmethod
    def _apply(self, function: str, *operands: Any) -> Self:
        """A function of tensors, numbers and arrays."""

    @abstractmethod
    def _activated(self, formula: str, alpha: float = 0.0) -> Self:
        """An activation of this tensor: behind a linear layer it is fused with it."""

    def __add__(self, other: Any) -> Self:
        return self._apply("add", self, other)

    def __radd__(self, other: Any) -> Self:
        return self._apply("add", other, self)

    def __sub__(self, other: Any) -> Self:
        return self._apply("sub", self, other)

    def __rsub__(self, other: Any) -> Self:
        return self._apply("sub", other, self)

    def __mul__(self, other: Any) -> Self:
        return self._apply("mul", self, other)

    def __rmul__(self, other: Any) -> Self:
        return self._apply("mul", other, self)

    def __truediv__(self, other: Any) -> Self:
        return self._apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._apply("div", other, self)

    def __floordiv__(self, other: Any) -> Self:
        return self._divided("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._divided("floordiv", other, self)

    def __mod__(self, other: Any) -> Self:
        return self._divided("mod", self, other)

    def __rmod__(self, other: Any) -> Self:
        return self._divided("mod", other, self)

    def _divided(self, function: str, a: Any, b: Any) -> Self:
        if not are_integral(a, b):
            raise TypeError(
                f"{'//' if function == 'floordiv' else '%'} takes indices and integers, expected both to be such"
            )
        return self._apply(function, a, b)

    def __pow__(self, other: Any) -> Self:
        # By products or a root where the exponent is a small number.
        if is_number(other) and other in (2, 3):
            square = self._apply("mul", self, self)
            return square if other == 2 else self._apply("mul", square, self)
        if is_number(other) and other == 0.5:
            return self._apply("sqrt", self)
        if is_number(other) and other == -1:
            return self._apply("div", 1.0, self)
        return self._apply("pow", self, other)

    def __rpow__(self, other: Any) -> Self:
        return self._apply("pow", other, self)

    def __neg__(self) -> Self:
        return self._apply("neg", self)

    def __abs__(self) -> Self:
        return self._apply("abs", self)

    def __lt__(self, other: Any) -> Self:
        return self._apply("lt", self, other)

    def __le__(self, other: Any) -> Self:
        return self._apply("le", self, other)

    def __gt__(self, other: Any) -> Self:
        return self._apply("gt", self, other)

    def __ge__(self, other: Any) -> Self:
        return self._apply("ge", self, other)

    def __eq__(self, other: object) -> Self:  # type: ignore[override]
        return self._apply("eq", self, other)

    def __ne__(self, other: object) -> Self:  # type: ignore[override]
        return self._apply("ne", self, other)

    __hash__ = object.__hash__

    def neg(self) -> Self:
        """-x."""
        return self._apply("neg", self)

    def abs(self) -> Self:
        """|x|."""
        return self._apply("abs", self)

    def sign(self) -> Self:
        """-1, 0 or 1."""
        return self._apply("sign", self)

    def sqrt(self) -> Self:
        """√x."""
        return self._apply("sqrt", self)

    def rsqrt(self) -> Self:
        """1 / √x."""
        return self._apply("div", 1.0, self._apply("sqrt", self))

    def exp(self) -> Self:
        """eˣ."""
        return self._apply("exp", self)

    def expm1(self) -> Self:
        """eˣ - 1."""
        return self._apply("expm1", self)

    def log(self) -> Self:
        """log x."""
        return self._apply("log", self)

    def log1p(self) -> Self:
        """log(1 + x)."""
        return self._apply("log1p", self)

    def sin(self) -> Self:
        """sin x."""
        return self._apply("sin", self)

    def cos(self) -> Self:
        """cos x."""
        return self._apply("cos", self)

    def erf(self) -> Self:
        """erf x."""
        return self._apply("erf", self)

    def relu(self) -> Self:
        """max(x, 0)."""
        return self._activated("relu")

    def sigmoid(self) -> Self:
        """1 / (1 + e⁻ˣ)."""
        return self._activated("sigmoid")

    def tanh(self) -> Self:
        """tanh x."""
        return self._activated("tanh")

    def square(self) -> Self:
        """x²."""
        return self * self

    def pow(self, exponent: Any) -> Self:
        """x to the power of a number or a tensor."""
        return self.__pow__(exponent)

    def clamp(self, min: Any = None, max: Any = None) -> Self:
        """x, but at least min and at most max."""
        if min is None and max is None:
            raise ValueError("clamp: min and max are None, expected at least one of them")
        x: Any = self if min is None else self._apply("where", self < min, min, self)
        clamped: Self = x if max is None else self._apply("where", x > max, max, x)
        return clamped

    def masked_fill(self, mask: Any, value: Any) -> Self:
        """value where the mask is not 0, else x."""
        return self._apply("where", mask, value, self)
