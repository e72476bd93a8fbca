"""A value whose rows are not its first dimension: layers want them first, and ONNX's recurrent operators second."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ...program.symbolic import SymbolicTensor


@dataclass(frozen=True, eq=False)
class Turned:
    """A tensor with its rows first, and the dimension at which the graph has them."""

    tensor: SymbolicTensor
    at: int

    @property
    def shape(self) -> tuple[int, ...]:
        """As the graph has it."""
        rows, *others = self.tensor.shape
        return (*others[: self.at], rows, *others[self.at :])

    @property
    def ndim(self) -> int:
        return self.tensor.ndim

    def axis(self, axis: int) -> int:
        """The dimension of the tensor that the graph calls so."""
        axis %= self.ndim
        return 0 if axis == self.at else axis + 1 if axis < self.at else axis

    def back(self) -> SymbolicTensor:
        """The value as the graph has it: rows are mixed."""
        return self.tensor.permute([self.axis(k) for k in range(self.ndim)])


def plain(value: Any) -> Any:
    """A value as a tensor or an array."""
    return value.back() if isinstance(value, Turned) else value


def like(result: SymbolicTensor, at: int) -> Any:
    """A result with its rows first as the graph has it."""
    return Turned(result, at) if at else result


def permuted(value: Any, axes: Sequence[int]) -> Any:
    """A transposition, which only moves the place of the rows where there is one."""
    if isinstance(value, SymbolicTensor) and value.per_row == 1:
        value = Turned(value, 0)
    if not isinstance(value, Turned):
        return value.permute(axes)
    order = [value.axis(k) for k in axes]
    at = order.index(0)
    return like(value.tensor.permute([0, *(k for k in order if k)]), at)


def reshaped(value: Any, sizes: Sequence[int], hint: int | None = None) -> Any:
    """Another shape; the rows are where as many elements lie before them. hint: where they are, if several places fit."""
    if isinstance(value, SymbolicTensor) and value.per_row == 1:
        value = Turned(value, 0)
    if not isinstance(value, Turned):
        return value.reshape([*sizes])
    shape = value.shape
    before, rows = prod(shape[: value.at]), shape[value.at]
    places = [at for at, size in enumerate(sizes) if size == rows and prod(sizes[:at]) == before]
    if not places:
        return value.back().reshape([*sizes])
    at = hint if hint in places else places[0]
    return like(value.tensor.reshape([rows, *sizes[:at], *sizes[at + 1 :]]), at)
