"""Functions of symbolic tensors, under PyTorch's names: `bp.cat`, `bp.where`, ... Of arrays alone they compute at once."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ops import gaussian_noise
from .diagonal import diag as diag
from .einsum import einsum as einsum
from .integers import are_integral, whole_operand
from .made import arange as arange
from .made import eye as eye
from .made import full as full
from .made import linspace as linspace
from .made import ones as ones
from .made import tensor as tensor
from .made import zeros as zeros
from .operands import builder_of, constant
from .symbolic import SymbolicTensor, apply, operand, product
from .tensor import Tensor
from .views import cat as cat_tensors
from .views import expand


def cat(tensors: Sequence[Any], dim: int = 0) -> SymbolicTensor:
    """The tensors one behind the other along dim."""
    builder = builder_of(*tensors)
    fit = whole_operand if are_integral(*tensors) else operand
    fitted = [fit(builder, value) for value in tensors]
    parts = [value for value in fitted if isinstance(value, Tensor)]
    first = SymbolicTensor(builder, parts[0])
    axis = first._axis(dim)
    shapes = [part.shape for part in parts]
    if len(parts) < len(fitted) or len({(*s[:axis], *s[axis + 1 :], len(s)) for s in shapes}) > 1:
        raise ValueError(f"cat: shapes {shapes} differ in more than dim {dim}")
    y = cat_tensors(builder, parts, axis)
    rows = builtins.max(getattr(value, "per_row", 0) for value in tensors)
    if rows and axis == 0:
        builder.whole_batch = True
    return SymbolicTensor(builder, y, rows if axis else 0)


def stack(tensors: Sequence[Any], dim: int = 0) -> SymbolicTensor:
    """The tensors, all of one shape, along a new dimension."""
    return cat(
        [v.unsqueeze(dim) if isinstance(v, SymbolicTensor) else np.expand_dims(v, dim) for v in tensors], dim
    )


def split(x: SymbolicTensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[SymbolicTensor, ...]:
    """Parts of one size along dim, or of the given sizes."""
    return x.split(split_size, dim)


def chunk(x: SymbolicTensor, chunks: int, dim: int = 0) -> tuple[SymbolicTensor, ...]:
    """So many parts along dim."""
    return x.chunk(chunks, dim)


def where(condition: Any, a: Any, b: Any) -> SymbolicTensor:
    """a where the condition is not 0, else b."""
    return apply(builder_of(condition, a, b), "where", condition, a, b)


def minimum(a: Any, b: Any) -> SymbolicTensor:
    """The smaller of a and b, element by element."""
    return apply(builder_of(a, b), "minimum", a, b)


def maximum(a: Any, b: Any) -> SymbolicTensor:
    """The larger of a and b, element by element."""
    return apply(builder_of(a, b), "maximum", a, b)


def matmul(a: Any, b: Any) -> SymbolicTensor:
    """The matrix product."""
    return product(builder_of(a, b), a, b)


bmm = matmul


def outer(a: Any, b: Any) -> SymbolicTensor:
    """aᵢ bⱼ of two tensors of one dimension."""
    return apply(builder_of(a, b), "mul", a[:, None], b[None, :])


def addmm(x: Any, a: Any, b: Any, *, beta: float = 1.0, alpha: float = 1.0) -> SymbolicTensor:
    """beta · x + alpha · a b, with the matrix product of a and b."""
    y = matmul(a, b)
    total: SymbolicTensor = (y if alpha == 1 else alpha * y) + (x if beta == 1 else beta * x)
    return total


def randn_like(x: SymbolicTensor) -> SymbolicTensor:
    """Standard normal numbers of the shape of x, anew in each training step; the seed of the model makes them reproducible."""
    builder = x.builder
    zeros = Tensor(np.zeros(x.shape, builder.dtype))
    noise = builder.run(
        gaussian_noise, x=zeros, step=builder.step, std=1.0, seed=builder.seed, stream=builder.stream()
    )
    return x._next(noise)


def zeros_like(x: SymbolicTensor) -> SymbolicTensor:
    """Zeros of the shape of x, a constant of the program."""
    return full_like(x, 0.0)


def ones_like(x: SymbolicTensor) -> SymbolicTensor:
    """Ones of the shape of x, a constant of the program."""
    return full_like(x, 1.0)


def full_like(x: SymbolicTensor, fill_value: float) -> SymbolicTensor:
    """A constant of the program of the shape of x, whose elements are all fill_value."""
    one = constant(builder_of(x), np.full((1,) * x.ndim, float(fill_value)))
    # The same for each row of the batch, wherever that stands.
    return x._of(expand(x.builder, one.tensor, x.shape), x.per_row)


def tril(x: Any, diagonal: int = 0) -> Any:
    """x below and on the diagonal of its last two dimensions, else 0."""
    return x * np.tril(np.ones(x.shape[-2:]), diagonal)


def triu(x: Any, diagonal: int = 0) -> Any:
    """x above and on the diagonal of its last two dimensions, else 0."""
    return x * np.triu(np.ones(x.shape[-2:]), diagonal)


def _method(name: str) -> Callable[..., Any]:
    def function(x: SymbolicTensor, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(x, SymbolicTensor):
            raise TypeError(f"{name}: x is {x!r:.60}, expected a tensor of forward")
        return getattr(x, name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = getattr(SymbolicTensor, name).__doc__
    return function


# Dtypes, for `dtype=` where arrays are made.
float32, float64, int64, long = np.float32, np.float64, np.int64, np.int64

# Functions that are methods of tensors as well.
METHODS = (
    "abs", "sign", "sqrt", "rsqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "erf", "relu", "sigmoid", "tanh", "square",
    "pow", "clamp", "softmax", "log_softmax", "logsumexp", "sum", "mean", "var", "std", "max", "min", "amax", "amin", "argmax",
    "norm", "prod", "cumsum",
    "reshape", "flatten", "unsqueeze", "squeeze", "permute", "transpose", "unbind", "masked_fill", "gather", "take_along_dim",
    "index_select", "flip", "roll", "repeat_interleave",
)  # fmt: skip
globals().update({name: _method(name) for name in METHODS})

# What `bp` shows of them.
NAMES = (
    *METHODS, "float32", "float64", "int64", "long", "addmm", "diag",
    "cat", "stack", "split", "chunk", "where", "minimum", "maximum", "matmul", "bmm", "outer", "einsum", "randn_like",
    "zeros_like", "ones_like", "full_like", "zeros", "ones", "full", "eye", "arange", "linspace", "tensor", "tril", "triu",
)  # fmt: skip
