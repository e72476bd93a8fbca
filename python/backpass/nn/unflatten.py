"""Unflatten: one dimension as several."""

from collections.abc import Sequence
from math import prod

from ..checks import is_whole
from ..program import Builder, Tensor
from .module import Module


class Unflatten(Module):
    """Unflatten: one dimension as several, in their order (PyTorch's `nn.Unflatten`); `nn.Flatten` is the way back.

    Args:
        dim: the dimension, at least 1 (0 is the batch, which stays), or a negative one, counted from the end.
        unflattened_size: the sizes in its place, of which one may be -1: what is left.

    Shapes: input (N, C·H·W), output (N, C, H, W) with dim 1 and sizes (C, H, W).

    Raises:
        ValueError: an argument out of range; an input without this dimension, or of another size.

    Example:
        >>> nn.Sequential(nn.Linear(8, 32), nn.Unflatten(1, (2, 4, 4)), nn.ConvTranspose2d(2, 1, 3))
        Sequential(Linear(8, 32), Unflatten(1, (2, 4, 4)), ConvTranspose2d(2, 1, 3))
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if not is_whole(dim) or dim == 0:
            raise ValueError(f"Unflatten: dim is {dim!r:.80}, expected an integer other than 0, the batch")
        sizes = tuple(unflattened_size) if isinstance(unflattened_size, tuple | list) else ()
        whole = all(is_whole(size) and (size > 0 or size == -1) for size in sizes)
        if not sizes or not whole or sizes.count(-1) > 1:
            raise ValueError(
                f"Unflatten: unflattened_size is {unflattened_size!r:.80}, expected a tuple of sizes, of which one may be -1"
            )
        self.dim = int(dim)
        self.unflattened_size = tuple(int(size) for size in sizes)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        rank = len(x.shape)
        dim = self.dim % rank if -rank < self.dim < rank else 0
        known = prod(size for size in self.unflattened_size if size > 0)
        left, rest = divmod(x.shape[dim], known)
        if not dim or rest or (left != 1 and -1 not in self.unflattened_size):
            raise self.unfit(x, f"dimension {self.dim} to be of the sizes {self.unflattened_size}")
        sizes = (left if size == -1 else size for size in self.unflattened_size)
        return builder.reshape(x, (*x.shape[:dim], *sizes, *x.shape[dim + 1 :]))
