"""Functions of `nn.functional` on tables and positions."""

from __future__ import annotations

from ..program.symbolic import SymbolicTensor
from .positions import rotated


def rotary(x: SymbolicTensor, base: float = 10000.0, interleaved: bool = False) -> SymbolicTensor:
    """(..., T, E): pairs of features of step t, turned by t / base^(2i/E); pairs are (i, i + E/2), interleaved (2i, 2i + 1)."""
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ValueError(
            f"rotary: x has shape {x.shape}, expected (..., steps, features) with an even number of features"
        )
    return x._next(rotated(x.builder, x._number, base, interleaved))
