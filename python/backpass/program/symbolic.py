"""SymbolicTensor: what a module's `forward` computes with. Its operators and methods are PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from ..checks import is_number
from .activation import activation
from .arithmetic import elementwise
from .builder import Builder
from .integers import KNOWN as INTEGER_FUNCTIONS
from .integers import are_integral, chosen, computed, truncated
from .made import ones, zeros
from .products import matmul
from .reducing import Reducing
from .tensor import Tensor

INSTEAD = {
    "item": "a tensor of forward has no value yet: compute with it, and choose by nn.functional's `where`",
    "numpy": "a tensor of forward has no value yet: model.predict gives arrays",
    "tolist": "a tensor of forward has no value yet: model.predict gives arrays",
    "cpu": "leave it out: backpass trains on the CPU", "cuda": "leave it out: backpass trains on the CPU",
    "backward": "leave it out: model.fit or model.step does it", "data": "take x.detach()", "grad": "take model.gradients()",
}  # fmt: skip


class SymbolicTensor(Reducing):
    """Symbolic tensor: a place in the program that a module's `forward` becomes. It has a shape, and no values.

    Attributes:
        shape: a tuple of integers; the first counts the rows of the batch.
        builder, tensor: the Builder that the program is written into, and the tensor in it.
        per_row: how many of the first dimension belong to each row of the batch, in its order; 0 where rows are mixed.
    """

    # NumPy leaves `array + tensor` to the tensor.
    __array_ufunc__ = None

    def _apply(self, function: str, *operands: Any) -> SymbolicTensor:
        return apply(self.builder, function, *operands)

    def _activated(self, formula: str, alpha: float = 0.0) -> SymbolicTensor:
        return self._next(activation(self.builder, self._number, formula, alpha))

    def __matmul__(self, other: Any) -> SymbolicTensor:
        return product(self.builder, self, other)

    def __rmatmul__(self, other: Any) -> SymbolicTensor:
        return product(self.builder, other, self)

    matmul = __matmul__
    mm = __matmul__
    bmm = __matmul__

    def float(self) -> SymbolicTensor:
        """x as numbers, which all have the model's dtype."""
        return self if self.tensor.array.dtype.kind == "f" else self._next(self._number)

    def long(self) -> SymbolicTensor:
        """x without its fraction, as indices; they have no gradient."""
        return self if self.dtype == np.int64 else self._next(truncated(self.builder, self.tensor))

    int = long

    def new_zeros(self, *size: Any, dtype: Any = None, device: Any = None) -> np.ndarray:
        """An array of zeros: a constant where it meets a tensor."""
        return zeros(*size, dtype=dtype, device=device)

    def new_ones(self, *size: Any, dtype: Any = None, device: Any = None) -> np.ndarray:
        """An array of ones: a constant where it meets a tensor."""
        return ones(*size, dtype=dtype, device=device)

    def type_as(self, other: SymbolicTensor) -> SymbolicTensor:
        """x as indices where the other tensor holds some, else as numbers."""
        return self.long() if other.dtype == np.int64 else self.float()

    def to(self, dtype: Any) -> SymbolicTensor:
        """x as indices where dtype is one of integers, as numbers of the model's dtype where it is one of floats."""
        try:
            kind = np.dtype(dtype).kind
        except TypeError:
            kind = ""
        if kind not in ("i", "u", "f"):
            raise TypeError(
                f"to: dtype is {dtype!r:.60}, expected np.int64 or np.float32; backpass trains on the CPU"
            )
        return self.float() if kind == "f" else self.long()

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


def operand(builder: Builder, value: Any) -> Tensor | float:
    """A tensor of the program, or a number; an array becomes a constant of the program."""
    if isinstance(value, SymbolicTensor):
        return value._within(builder)._number
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
    shapes = [
        np.shape(value) if isinstance(value, np.ndarray | list | tuple) else getattr(value, "shape", ())
        for value in operands
    ]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"{function}: shapes {' and '.join(map(str, shapes))} do not fit together") from None
    if function in INTEGER_FUNCTIONS and are_integral(*operands):
        return of_several(builder, computed(builder, function, *operands), shape, operands)
    if function == "where" and are_integral(*operands[1:]):
        y = chosen(builder, operand(builder, operands[0]), *operands[1:])
        return of_several(builder, y, shape, operands)
    fitted = [operand(builder, value) for value in operands]
    return of_several(builder, elementwise(builder, function, *fitted), shape, operands)


def of_several(
    builder: Builder, y: Tensor, shape: tuple[int, ...], operands: Sequence[Any]
) -> SymbolicTensor:
    """What was computed of several operands that were broadcast to a shape."""
    tensors = [value for value in operands if isinstance(value, SymbolicTensor) and value.per_row]
    in_place = [value.ndim == len(shape) and value.shape[0] == shape[0] for value in tensors]
    # Constants with a row for each row of the batch depend on where in the batch a row is.
    arrays = [np.asarray(value) for value in operands if not isinstance(value, SymbolicTensor)]
    fixed = [array.shape for array in arrays if not are_alike(array)]
    fixed += [value.shape for value in operands if isinstance(value, SymbolicTensor) and not value.per_row]
    by_row = any(len(size) == len(shape) and size[0] == shape[0] != 1 for size in fixed if size)
    if tensors and (not all(in_place) or by_row):
        builder.whole_batch = True
        return SymbolicTensor(builder, y)
    return SymbolicTensor(builder, y, tensors[0].per_row if tensors else 0)


def are_alike(rows: np.ndarray) -> bool:
    """Whether an array has the same for each row, as zeros of the size of a batch have."""
    return rows.ndim > 0 and bool((rows == rows[:1]).all())


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
