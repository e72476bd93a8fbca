"""Gated linear units: one half of the features, times a gate that the other half makes."""

from ..checks import is_whole
from ..program import Builder, Tensor
from ..program.symbolic import SymbolicTensor
from .module import Module


def gated(x: SymbolicTensor, dim: int) -> SymbolicTensor:
    """a σ(b) for x = [a, b] along dim."""
    if x.size(dim) % 2:
        raise ValueError(f"glu: dim {dim} of {x.shape} has size {x.size(dim)}, expected an even one")
    a, b = x.chunk(2, dim)
    return a * b.sigmoid()


class GLU(Module):
    """Gated linear unit: y = a σ(b), where a and b are the halves of x along one dimension (Dauphin et al. 2017).

    SwiGLU and ReGLU are products of halves in a `forward`: `a, b = x.chunk(2, -1)`, then `F.silu(a) * b` or `F.relu(a) * b`.

    Args:
        dim: the dimension that is halved, default -1, the last; not 0, which counts the rows.

    Shapes: input (N, ..., 2 C), output (N, ..., C) by default.

    Raises:
        ValueError: dim is 0 or no integer; a dimension that the input lacks, or of odd size.

    Example:
        >>> nn.Sequential(nn.Linear(4, 16), nn.GLU(), nn.Linear(8, 1))
        Sequential(Linear(4, 16), GLU(), Linear(8, 1))
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        if not is_whole(dim) or dim == 0:
            raise ValueError(f"GLU: dim is {dim!r}, expected an integer other than 0, which counts the rows")
        self.dim = int(dim)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        rank = len(x.shape)
        if not -rank < self.dim < rank or x.shape[self.dim] % 2:
            raise self.unfit(x, f"an even size of dimension {self.dim}")
        return gated(SymbolicTensor(builder, x, 1), self.dim).tensor
