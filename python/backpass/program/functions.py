"""Functions of symbolic tensors, under PyTorch's names: `bp.cat`, `bp.where`, ... Of arrays alone they compute at once."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ops import gaussian_noise
from .builder import Builder
from .integers import are_integral, whole_operand
from .symbolic import SymbolicTensor, apply, operand, product
from .tensor import Tensor
from .views import cat as cat_tensors
from .views import expand


def _builder(*values: Any) -> Builder:
    """That of the first tensor; TypeError if there is none."""
    for value in values:
        if isinstance(value, SymbolicTensor):
            return value.builder
    raise TypeError("expected at least one tensor of forward; for arrays alone take NumPy's function")


def constant(builder: Builder, value: Any) -> SymbolicTensor:
    """An array as a tensor that does not change."""
    tensor = operand(builder, np.asarray(value))
    assert isinstance(tensor, Tensor)
    return SymbolicTensor(builder, tensor)


def cat(tensors: Sequence[Any], dim: int = 0) -> SymbolicTensor:
    """The tensors one behind the other along dim."""
    builder = _builder(*tensors)
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
    return apply(_builder(condition, a, b), "where", condition, a, b)


def minimum(a: Any, b: Any) -> SymbolicTensor:
    """The smaller of a and b, element by element."""
    return apply(_builder(a, b), "minimum", a, b)


def maximum(a: Any, b: Any) -> SymbolicTensor:
    """The larger of a and b, element by element."""
    return apply(_builder(a, b), "maximum", a, b)


def matmul(a: Any, b: Any) -> SymbolicTensor:
    """The matrix product."""
    return product(_builder(a, b), a, b)


bmm = matmul


def outer(a: Any, b: Any) -> SymbolicTensor:
    """aᵢ bⱼ of two tensors of one dimension."""
    return apply(_builder(a, b), "mul", a[:, None], b[None, :])


def einsum(equation: str, *operands: Any) -> SymbolicTensor:
    """Sum of products by Einstein's rule, such as "bij,jk->bik"; two operands at a time, by matrix products."""
    builder = _builder(*operands)
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    match = re.fullmatch(r"([a-zA-Z]+(?:,[a-zA-Z]+)*)(?:->([a-zA-Z]*))?", equation.replace(" ", ""))
    if not match:
        raise ValueError(f"einsum: equation is {equation!r}, expected letters such as 'bij,jk->bik'")
    terms = match[1].split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {equation!r} has {len(terms)} terms for {len(operands)} operands")
    output = match[2]
    if output is None:
        output = "".join(sorted(c for c in {*match[1]} - {","} if match[1].count(c) == 1))
    values = [v if isinstance(v, SymbolicTensor) else constant(builder, v) for v in operands]
    sizes: dict[str, int] = {}
    for term, value in zip(terms, values, strict=True):
        if len({*term}) != len(term):
            raise ValueError(f"einsum: {term!r} names a dimension twice, which is not available")
        if len(term) != value.ndim:
            raise ValueError(f"einsum: {term!r} for a tensor of shape {value.shape}")
        for letter, size in zip(term, value.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ValueError(f"einsum: {letter!r} is {sizes[letter]} and {size}")
    term, value = terms[0], values[0]
    for i in range(1, len(terms)):
        later = {*output}.union(*terms[i + 1 :])
        term, value = _contracted(term, value, terms[i], values[i], later)
    gone = [axis for axis, letter in enumerate(term) if letter not in output]
    if gone:
        term, value = "".join(c for c in term if c in output), value.sum(gone)
    if {*term} != {*output} or len(term) != len(output):
        raise ValueError(f"einsum: the output of {equation!r} has letters that no term has, or one twice")
    return value.permute([term.index(letter) for letter in output])


def _contracted(
    a_term: str, a: SymbolicTensor, b_term: str, b: SymbolicTensor, later: set[str]
) -> tuple[str, SymbolicTensor]:
    """The product of two terms, summed over the letters that nothing needs later: one matrix product over their batch."""
    for_a = [axis for axis, c in enumerate(a_term) if c not in later and c not in b_term]
    for_b = [axis for axis, c in enumerate(b_term) if c not in later and c not in a_term]
    a = a.sum(for_a) if for_a else a
    b = b.sum(for_b) if for_b else b
    a_term = "".join(c for c in a_term if c in later or c in b_term)
    b_term = "".join(c for c in b_term if c in later or c in a_term)
    batch = [c for c in a_term if c in b_term and c in later]
    inner = [c for c in a_term if c in b_term and c not in later]
    rows, columns = [c for c in a_term if c not in b_term], [c for c in b_term if c not in a_term]
    sizes = dict(zip(a_term, a.shape, strict=True)) | dict(zip(b_term, b.shape, strict=True))

    def grouped(x: SymbolicTensor, term: str, groups: Sequence[list[str]]) -> SymbolicTensor:
        ordered = x.permute([term.index(c) for group in groups for c in group])
        lead = [sizes[c] for c in groups[0]]
        return ordered.reshape([*lead, *(int(np.prod([sizes[c] for c in g], initial=1)) for g in groups[1:])])

    left = grouped(a, a_term, [batch, rows, inner])
    right = grouped(b, b_term, [batch, inner, columns])
    letters = [*batch, *rows, *columns]
    return "".join(letters), (left @ right).reshape([sizes[c] for c in letters])


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
    one = constant(_builder(x), np.full((1,) * x.ndim, float(fill_value)))
    # The same for each row of the batch, wherever that stands.
    return x._of(expand(x.builder, one.tensor, x.shape), x.per_row)


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


def zeros(*size: Any) -> np.ndarray:
    """An array of zeros: a constant where it meets a tensor."""
    return np.zeros(_sizes(size))


def ones(*size: Any) -> np.ndarray:
    """An array of ones: a constant where it meets a tensor."""
    return np.ones(_sizes(size))


def full(size: int | Sequence[int], fill_value: float) -> np.ndarray:
    """An array whose elements are all fill_value: a constant where it meets a tensor."""
    return np.full(size, float(fill_value))


def eye(n: int, m: int | None = None) -> np.ndarray:
    """An array with ones on its diagonal, else zeros: a constant where it meets a tensor."""
    return np.eye(n, m)


def arange(*bounds: float) -> np.ndarray:
    """An array of numbers from start to end: a constant where it meets a tensor."""
    return np.arange(*bounds)


def linspace(start: float, end: float, steps: int) -> np.ndarray:
    """An array of so many numbers from start to end, both included: a constant where it meets a tensor."""
    return np.linspace(start, end, steps)


def tensor(data: Any) -> np.ndarray:
    """An array of the numbers in data: a constant where it meets a tensor of forward."""
    return np.array(data)


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
    *METHODS, "cat", "stack", "split", "chunk", "where", "minimum", "maximum", "matmul", "bmm", "outer", "einsum", "randn_like",
    "zeros_like", "ones_like", "full_like", "zeros", "ones", "full", "eye", "arange", "linspace", "tensor", "tril", "triu",
)  # fmt: skip
