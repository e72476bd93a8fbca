"""Permute: the dimensions of a tensor in another order."""

from collections.abc import Sequence

from ..checks import is_whole
from ..program import Builder, Tensor
from ..program.views import permute
from .module import Module


class Permute(Module):
    """Permutation of dimensions: dimension i of the output is dimension dims[i] of the input, as `x.permute(*dims)` in PyTorch.

    It costs no copy where the layer behind it reads any order of memory: images (N, H, W, C) before nn.Conv2d are such a case.

    Args:
        dims: the numbers of the dimensions in their new order, of which 0, the batch, is first; default (0, 2, 1): steps and
            features of sequences change places.

    Shapes: input of len(dims) dimensions; (N, H, W, C) becomes (N, C, H, W) with (0, 3, 1, 2).

    Raises:
        ValueError: dims that are no permutation, or do not begin with 0; an input with another number of dimensions.

    Example:
        >>> nn.Sequential(nn.Permute((0, 3, 1, 2)), nn.Conv2d(3, 8, 3))
        Sequential(Permute(dims=(0, 3, 1, 2)), Conv2d(3, 8, 3))
    """

    def __init__(self, dims: Sequence[int] = (0, 2, 1)) -> None:
        super().__init__()
        listed = dims if isinstance(dims, tuple | list) and all(map(is_whole, dims)) else ()
        if [*sorted(listed)] != [*range(len(listed))] or not listed or listed[0] != 0:
            raise ValueError(
                f"Permute: dims is {dims!r:.80}, expected 0 and a permutation of the dimensions behind it"
            )
        self.dims = tuple(int(dim) for dim in listed)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if len(x.shape) != len(self.dims):
            raise self.unfit(x, f"{len(self.dims)} dimensions")
        return permute(builder, x, self.dims)
