"""The last states of recurrent layers, as PyTorch gives them: layers first, rows behind."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks import is_whole
from ..program.functions import stack
from ..program.symbolic import SymbolicTensor
from ..program.tensor import Tensor


class LastStates(SymbolicTensor):
    """(layers, N, H): a tensor of rows for each layer, `states[k]`; one of all layers only where something asks for that.

    In one of all the rows no longer come first, so that a network that uses it has to see a batch as a whole.
    """

    def __init__(self, states: Sequence[SymbolicTensor]) -> None:
        self.builder, self.states, self.per_row = states[0].builder, tuple(states), 0
        self._stacked: Tensor | None = None

    @property
    def tensor(self) -> Tensor:  # type: ignore[override]
        if self._stacked is None:
            self._stacked = stack(self.states, 0).tensor
        return self._stacked

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.states), *self.states[0].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.states[0].dtype

    def _of(self, tensor: Tensor, per_row: int) -> Any:
        return SymbolicTensor(self.builder, tensor, per_row)

    def __getitem__(self, index: Any) -> Any:
        return self.states[index] if is_whole(index) else super().__getitem__(index)

    def unbind(self, dim: int = 0) -> Any:
        """The states of each layer, or the parts along another dimension."""
        return self.states if self._axis(dim) == 0 else super().unbind(dim)

    def squeeze(self, dim: int | None = None) -> Any:
        """The states of the only layer, or without other dimensions of size 1."""
        only = dim is not None and self._axis(dim) == 0 and len(self.states) == 1
        return self.states[0] if only else super().squeeze(dim)
