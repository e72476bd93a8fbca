"""SymbolicTensor: what a module's `forward` computes with. Its operators and methods are PyTorch's."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NoReturn

import numpy as np

from ..checks import is_number, is_whole
from ..ops import softmax_forward, to_number
from .activation import activation
from .arithmetic import elementwise
from .builder import Builder
from .indexing import Indexing
from .operators import Operators
from .products import matmul
from .reductions import largest, largest_shared, total
from .tensor import Tensor
from .views import expand, permute

INSTEAD = {
    "item": "a tensor of forward has no value yet: compute with it, and choose by nn.functional's `where`",
    "numpy": "a tensor of forward has no value yet: model.predict gives arrays",
    "tolist": "a tensor of forward has no value yet: model.predict gives arrays",
    "cpu": "leave it out: backpass trains on the CPU", "cuda": "leave it out: backpass trains on the CPU",
    "backward": "leave it out: model.fit or model.step does it", "data": "take x.detach()", "grad": "take model.gradients()",
}  # fmt: skip


class SymbolicTensor(Operators["SymbolicTensor"], Indexing["SymbolicTensor"]):
    """Symbolic tensor: a place in the program that a module's `forward` becomes. It has a shape, and no values.

    Attributes:
        shape: a tuple of integers; the first counts the rows of the batch.
        builder, tensor: the Builder that the program is written into, and the tensor in it.
        per_row: how many of the first dimension belong to each row of the batch, in its order; 0 where rows are mixed.
    """

    # NumPy leaves `array + tensor` to the tensor.
    __array_ufunc__ = None

    def __init__(self, builder: Builder, tensor: Tensor, per_row: int = 0) -> None:
        self.builder, self.tensor, self.per_row = builder, tensor, per_row

    def _next(self, tensor: Tensor, keeps_rows: bool = True) -> SymbolicTensor:
        """What was computed of this tensor; where it does not keep the rows apart, predict has to take all at once."""
        if self.per_row and not keeps_rows:
            self.builder.whole_batch = True
        return SymbolicTensor(self.builder, tensor, self.per_row if keeps_rows else 0)

    def _of(self, tensor: Tensor, per_row: int) -> SymbolicTensor:
        return SymbolicTensor(self.builder, tensor, per_row)

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    @property
    def _number(self) -> Tensor:
        """The tensor in the program; of indices, numbers of the model's dtype."""
        indices = self.tensor.array.dtype.kind != "f"
        return self.builder.emit(to_number, x=self.tensor) if indices else self.tensor

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.tensor.array.dtype

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[self._axis(dim)]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without dimensions")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"tensor of shape {self.shape}, {self.dtype}"

    def _apply(self, function: str, *operands: Any) -> SymbolicTensor:
        return apply(self.builder, function, *operands)

    # -- over a dimension ---------------------------------------------------------------------------------------------

    def softmax(self, dim: int = -1) -> SymbolicTensor:
        """eˣ / Σ eˣ over dim."""
        return self._softmax(dim, log=False)

    def log_softmax(self, dim: int = -1) -> SymbolicTensor:
        """x - log Σ eˣ over dim."""
        return self._softmax(dim, log=True)

    def _softmax(self, dim: int, log: bool) -> SymbolicTensor:
        axis = self._axis(dim)
        last = self if axis == self.ndim - 1 else self.transpose(axis, -1)
        y = last._next(self.builder.emit(softmax_forward, x=last._number, log=log))
        return y if last is self else y.transpose(axis, -1)

    def _activated(self, formula: str, alpha: float = 0.0) -> SymbolicTensor:
        return self._next(activation(self.builder, self._number, formula, alpha))

    def logsumexp(self, dim: int | Sequence[int], keepdim: bool = False) -> SymbolicTensor:
        """log Σ eˣ over dim."""
        top = self.detach().amax(dim, keepdim=True)
        summed = (self - top).exp().sum(dim, keepdim=True).log() + top
        return summed if keepdim else summed._without(self._axes(dim))

    def detach(self) -> SymbolicTensor:
        """x, through which no gradient flows back."""
        return self._next(Tensor(self.tensor.array))

    def contiguous(self) -> SymbolicTensor:
        """x itself: a copy is made where an op needs one."""
        return self

    # -- reductions ---------------------------------------------------------------------------------------------------

    def sum(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> SymbolicTensor:
        """The sum over one, several or all dimensions."""
        return self._total(dim, keepdim, 1.0)

    def mean(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> SymbolicTensor:
        """The mean over one, several or all dimensions."""
        count = prod(self.shape[axis] for axis in self._axes(dim))
        return self._total(dim, keepdim, 1 / count if count else float("nan"))

    def var(
        self, dim: int | Sequence[int] | None = None, unbiased: bool = True, keepdim: bool = False
    ) -> SymbolicTensor:
        """The variance over one, several or all dimensions, divided by n - 1, or by n with unbiased=False."""
        axes = self._axes(dim)
        count = prod(self.shape[axis] for axis in axes) - unbiased
        apart = self - self.mean(axes, keepdim=True)
        return (apart * apart)._total(axes, keepdim, 1 / count if count > 0 else float("nan"))

    def std(
        self, dim: int | Sequence[int] | None = None, unbiased: bool = True, keepdim: bool = False
    ) -> SymbolicTensor:
        """The square root of the variance."""
        return self.var(dim, unbiased, keepdim).sqrt()

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element; with dim the largest along it and where it is; with a tensor, element by element."""
        if isinstance(dim, SymbolicTensor | np.ndarray):
            return self._apply("maximum", self, dim)
        if dim is None:
            return self.amax(None)
        axes = self._axes(dim)
        values, places = largest(self.builder, self._number, axes)
        found = [self._next(t, 0 not in axes) for t in (values, places)]
        return tuple(x._with(axes) if keepdim else x for x in found)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest element; with dim the smallest along it and where it is; with a tensor, element by element."""
        if isinstance(dim, SymbolicTensor | np.ndarray):
            return self._apply("minimum", self, dim)
        if dim is None:
            return -(-self).amax(None)
        values, places = (-self).max(dim, keepdim)
        return -values, places

    def amax(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> SymbolicTensor:
        """The largest element over one, several or all dimensions; equal ones share the gradient."""
        axes = self._axes(dim)
        top = self._next(largest_shared(self.builder, self._number, axes), 0 not in axes)
        return top._with(axes) if keepdim else top

    def amin(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> SymbolicTensor:
        """The smallest element over one, several or all dimensions; equal ones share the gradient."""
        return -(-self).amax(dim, keepdim)

    def argmax(self, dim: int = -1, keepdim: bool = False) -> SymbolicTensor:
        """Where the first of the largest elements along dim is."""
        places = self.detach().max(dim, keepdim)[1]
        assert isinstance(places, SymbolicTensor)
        return places

    def _total(self, dim: Any, keepdim: bool, scale: float) -> SymbolicTensor:
        axes = self._axes(dim)
        summed = self._next(total(self.builder, self._number, axes, scale), 0 not in axes)
        return summed._with(axes) if keepdim else summed

    def _with(self, axes: Sequence[int]) -> SymbolicTensor:
        """With dimensions of size 1 put in at these places."""
        x = self
        for axis in sorted(axes):
            x = x.unsqueeze(axis)
        return x

    def _without(self, axes: Sequence[int]) -> SymbolicTensor:
        return self.reshape([size for axis, size in enumerate(self.shape) if axis not in axes])

    # -- shapes -------------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> SymbolicTensor:
        """The same elements in another shape; one size may be -1."""
        sizes = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else list(shape)
        known = prod(size for size in sizes if size != -1)
        if sizes.count(-1) == 1 and known and self.numel() % known == 0:
            sizes[sizes.index(-1)] = self.numel() // known
        if -1 in sizes or prod(sizes) != self.numel():
            raise ValueError(
                f"reshape: {tuple(shape)} does not hold the {self.numel()} elements of {self.shape}"
            )
        array = self.tensor.array
        # No op copies indices: where no view shows them in this shape, they become numbers.
        if array.dtype.kind != "f" and np.may_share_memory(array, view := array.reshape(sizes)):
            y = self.builder.view(self.tensor, view)
        else:
            y = self.builder.reshape(self._number, sizes)
        # A row of the batch keeps its elements together where a whole number of the first dimension belongs to it.
        rows = self.shape[0] // self.per_row if self.per_row else 0
        if not rows or not sizes or sizes[0] % rows:
            return self._next(y, keeps_rows=False)
        return SymbolicTensor(self.builder, y, sizes[0] // rows)

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> SymbolicTensor:
        """Dimensions start_dim to end_dim as one."""
        start, end = self._axis(start_dim), self._axis(end_dim)
        return self.reshape([*self.shape[:start], prod(self.shape[start : end + 1]), *self.shape[end + 1 :]])

    def unsqueeze(self, dim: int) -> SymbolicTensor:
        """With a dimension of size 1 at this place."""
        place = operator.index(dim) + (self.ndim + 1 if dim < 0 else 0)
        return self[(slice(None),) * place + (None,)]

    def squeeze(self, dim: int | None = None) -> SymbolicTensor:
        """Without the dimensions of size 1, or without this one if its size is 1."""
        gone = [a for a in self._axes(dim) if self.shape[a] == 1]
        return self[tuple(0 if axis in gone else slice(None) for axis in range(self.ndim))]

    def permute(self, *dims: Any) -> SymbolicTensor:
        """The dimensions in another order."""
        axes = self._axes(dims[0] if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims)
        if len(axes) != self.ndim:
            raise ValueError(f"permute: dims is {dims}, expected each of the {self.ndim} dimensions once")
        return self._next(permute(self.builder, self.tensor, axes), axes[:1] == [0])

    def transpose(self, dim0: int, dim1: int) -> SymbolicTensor:
        """Two dimensions exchanged."""
        axes = list(range(self.ndim))
        first, second = self._axis(dim0), self._axis(dim1)
        axes[first], axes[second] = axes[second], axes[first]
        return self.permute(axes)

    swapaxes = transpose

    def t(self) -> SymbolicTensor:
        """A matrix with rows and columns exchanged."""
        return self.permute(list(range(self.ndim))[::-1])

    @property
    def T(self) -> SymbolicTensor:
        return self.t()

    @property
    def mT(self) -> SymbolicTensor:
        return self.transpose(-2, -1)

    def expand(self, *shape: Any) -> SymbolicTensor:
        """Repeated along dimensions of size 1; -1 keeps a size."""
        sizes = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else list(shape)
        new = len(sizes) - self.ndim
        sizes = [self.shape[i - new] if size == -1 and i >= new else size for i, size in enumerate(sizes)]
        return self._next(expand(self.builder, self.tensor, sizes), new == 0)

    def expand_as(self, other: SymbolicTensor) -> SymbolicTensor:
        """Repeated to the shape of another tensor."""
        return self.expand(other.shape)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[SymbolicTensor, ...]:
        """Parts along dim, of which the last may be smaller."""
        return self.split(-(-self.shape[self._axis(dim)] // chunks), dim)

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[SymbolicTensor, ...]:
        """Parts of one size along dim, of which the last may be smaller; or of the given sizes."""
        axis = self._axis(dim)
        whole = self.shape[axis]
        if is_whole(split_size):
            step = operator.index(split_size)  # type: ignore[arg-type]
            sizes = [min(step, whole - start) for start in range(0, whole, step)]
        else:
            sizes = list(split_size)  # type: ignore[arg-type]
        if sum(sizes) != whole:
            raise ValueError(f"split: split_size is {split_size}, expected sizes that add up to {whole}")
        parts, start = [], 0
        for size in sizes:
            parts.append(self[(slice(None),) * axis + (slice(start, start + size),)])
            start += size
        return tuple(parts)

    def unbind(self, dim: int = 0) -> tuple[SymbolicTensor, ...]:
        """The parts of size 1 along dim, without it."""
        axis = self._axis(dim)
        return tuple(self[(slice(None),) * axis + (i,)] for i in range(self.shape[axis]))

    def __matmul__(self, other: Any) -> SymbolicTensor:
        return product(self.builder, self, other)

    def __rmatmul__(self, other: Any) -> SymbolicTensor:
        return product(self.builder, other, self)

    matmul = __matmul__
    mm = __matmul__
    bmm = __matmul__

    def float(self) -> SymbolicTensor:
        """x itself: all numbers have the model's dtype."""
        return self

    # -- what it cannot do --------------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        raise TypeError(
            "an `if` on a tensor: forward runs once, before there are values; choose element by element with"
            " bp.where(condition, a, b)"
        )

    def _no_value(self, *args: Any) -> NoReturn:
        raise TypeError(
            "a tensor of forward has no value yet: compute with it, or give its value out as an output"
        )

    __float__ = __int__ = __index__ = __complex__ = _no_value

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            "a NumPy function on a tensor: take the tensor's method or bp's function of the same name"
        )

    def __array_function__(self, function: Callable[..., Any], *args: Any) -> NoReturn:
        name = function.__name__
        raise TypeError(f"np.{name} on a tensor: take the tensor's method or bp.{name}")

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            "a write into a tensor: make a new one, with bp.where(condition, a, b), bp.cat or bp.stack"
        )

    def __iter__(self) -> Any:
        return iter(self.unbind(0))

    def __getattr__(self, name: str) -> NoReturn:
        if name.endswith("_") and not name.startswith("_"):
            raise AttributeError(
                f"a tensor has no {name}(), which writes into it: take x = x.{name[:-1]}(...)"
            )
        hint = f": {INSTEAD[name]}" if name in INSTEAD else ""
        raise AttributeError(f"a tensor has no attribute {name!r}{hint}")

    # -- dimensions ---------------------------------------------------------------------------------------------------

    def _axis(self, dim: int) -> int:
        if not is_whole(dim) or not -self.ndim <= dim < self.ndim:
            raise IndexError(
                f"dim is {dim!r}, expected an integer in [{-self.ndim}, {self.ndim - 1}] for {self.shape}"
            )
        return int(dim) % self.ndim

    def _axes(self, dim: Any) -> list[int]:
        """One, several or all (None) dimensions, as they are counted from the front."""
        if dim is None:
            return list(range(self.ndim))
        axes = [self._axis(d) for d in (dim if isinstance(dim, tuple | list) else [dim])]
        if len({*axes}) < len(axes):
            raise ValueError(f"dim is {dim}, expected each dimension once")
        return axes


def operand(builder: Builder, value: Any) -> Tensor | float:
    """A tensor of the program, or a number; an array becomes a constant of the program."""
    if isinstance(value, SymbolicTensor):
        if value.builder is not builder:
            raise ValueError("a tensor of another forward: tensors live for one call of it, keep none")
        return value._number
    if is_number(value) or isinstance(value, bool | np.bool_):
        return float(value)
    if isinstance(value, np.ndarray | list | tuple):
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"an array of {array.dtype} in forward, expected numbers")
        return Tensor(np.ascontiguousarray(array, builder.dtype))
    raise TypeError(f"{value!r:.60} in forward, expected a tensor, a number or an array")


def apply(builder: Builder, function: str, *operands: Any) -> SymbolicTensor:
    """An element-wise function of tensors, numbers and arrays."""
    fitted = [operand(builder, value) for value in operands]
    shapes = [value.shape for value in fitted if isinstance(value, Tensor)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"{function}: shapes {' and '.join(map(str, shapes))} do not fit together") from None
    return _of_several(builder, elementwise(builder, function, *fitted), shape, operands)


def _of_several(
    builder: Builder, y: Tensor, shape: tuple[int, ...], operands: Sequence[Any]
) -> SymbolicTensor:
    """What was computed of several operands that were broadcast to a shape."""
    tensors = [value for value in operands if isinstance(value, SymbolicTensor) and value.per_row]
    in_place = [value.ndim == len(shape) and value.shape[0] == shape[0] for value in tensors]
    # Constants with a row for each row of the batch depend on where in the batch a row is.
    fixed = [np.shape(value) for value in operands if not isinstance(value, SymbolicTensor)]
    fixed += [value.shape for value in operands if isinstance(value, SymbolicTensor) and not value.per_row]
    by_row = any(len(size) == len(shape) and size[0] == shape[0] != 1 for size in fixed if size)
    if tensors and (not all(in_place) or by_row):
        builder.whole_batch = True
        return SymbolicTensor(builder, y)
    return SymbolicTensor(builder, y, tensors[0].per_row if tensors else 0)


def product(builder: Builder, a: Any, b: Any) -> SymbolicTensor:
    """The matrix product of tensors and arrays."""
    left, right = operand(builder, a), operand(builder, b)
    if not isinstance(left, Tensor) or not isinstance(right, Tensor) or not left.shape or not right.shape:
        raise ValueError("matmul: expected tensors of at least one dimension")
    if left.shape[-1] != right.shape[max(len(right.shape) - 2, 0)]:
        raise ValueError(f"matmul: shapes {left.shape} and {right.shape} do not fit together")
    y = matmul(builder, left, right)
    rows_of_a, rows_of_b = getattr(a, "per_row", 0), getattr(b, "per_row", 0)
    in_a, in_b = len(left.shape) >= 2 and bool(rows_of_a), len(right.shape) >= 3 and bool(rows_of_b)
    apart = (in_a or not rows_of_a) and (in_b or not rows_of_b)
    if rows_of_a and rows_of_b:
        apart &= len(left.shape) == len(right.shape) and left.shape[0] == right.shape[0]
    elif rows_of_a:
        apart &= len(right.shape) <= len(left.shape)
    elif rows_of_b:
        apart &= len(left.shape) <= len(right.shape)
    if not apart:
        builder.whole_batch = True
    return SymbolicTensor(builder, y, (rows_of_a or rows_of_b) if apart else 0)
