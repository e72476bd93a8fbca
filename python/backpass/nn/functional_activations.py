"""Activation functions that are expressions of others, under PyTorch's names; an expression runs as one pass over memory."""

from ..program.functions import minimum, where
from ..program.symbolic import SymbolicTensor

# Of Klambauer et al. 2017, "Self-Normalizing Neural Networks": what keeps mean 0 and variance 1 from layer to layer.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def hardtanh(
    x: SymbolicTensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> SymbolicTensor:
    """x, at least min_val and at most max_val."""
    # Its slope is 0 at both ends, where that of clamp is 1; a NaN passes.
    return where(x <= min_val, min_val, where(x >= max_val, max_val, x))


def relu6(x: SymbolicTensor, inplace: bool = False) -> SymbolicTensor:
    """x, at least 0 and at most 6."""
    return hardtanh(x, 0.0, 6.0)


def hardsigmoid(x: SymbolicTensor, inplace: bool = False) -> SymbolicTensor:
    """x / 6 + 1/2, at least 0 and at most 1."""
    return hardtanh(x, -3.0, 3.0) / 6 + 0.5


def hardswish(x: SymbolicTensor, inplace: bool = False) -> SymbolicTensor:
    """x hardsigmoid(x)."""
    return x * hardsigmoid(x)


def selu(x: SymbolicTensor, inplace: bool = False) -> SymbolicTensor:
    """1.0507 x where x > 0, else 1.0507 · 1.6733 (eˣ - 1)."""
    return x._activated("elu", SELU_ALPHA) * SELU_SCALE


def celu(x: SymbolicTensor, alpha: float = 1.0, inplace: bool = False) -> SymbolicTensor:
    """x where x > 0, else alpha (e^(x / alpha) - 1)."""
    if not alpha:
        raise ValueError(f"celu: alpha is {alpha!r}, expected a number other than 0")
    return where(x > 0, x, alpha * (x.clamp(max=0.0) / alpha).expm1())


def logsigmoid(x: SymbolicTensor) -> SymbolicTensor:
    """log(1 / (1 + e⁻ˣ))."""
    # softplus is linear from 20 on, which would be wrong by e⁻²⁰ here.
    return minimum(x, 0.0) - (-x.abs()).exp().log1p()


def prelu(x: SymbolicTensor, weight: SymbolicTensor) -> SymbolicTensor:
    """x where x > 0, else weight · x; weight is one number, or one for each channel, dimension 1."""
    shape = getattr(weight, "shape", None)
    if shape not in {(), (1,), x.shape[1:2]}:
        found = f"is {weight!r:.80}" if shape is None else f"has shape {shape}"
        raise ValueError(f"prelu: weight {found}, expected a tensor of shape (1,) or {x.shape[1:2]}")
    slopes = weight.reshape([*shape, *[1] * (x.ndim - 2)]) if shape == x.shape[1:2] else weight
    # Not slopes * x: of an infinite x the slopes would have 0 · inf as their gradient.
    return where(x > 0, x, slopes * x.clamp(max=0.0))


def mish(x: SymbolicTensor, inplace: bool = False) -> SymbolicTensor:
    """x tanh(log(1 + eˣ))."""
    return x * x._activated("softplus", 1.0).tanh()


def softsign(x: SymbolicTensor) -> SymbolicTensor:
    """x / (1 + |x|)."""
    return x / (1 + x.abs())
