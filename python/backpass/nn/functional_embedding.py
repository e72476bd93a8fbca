"""Functions of `nn.functional` on tables and positions."""

from __future__ import annotations

from ..checks import is_whole
from ..program.gathers import bags
from ..program.symbolic import SymbolicTensor
from .embedding_bag import MODES
from .positions import rotated


def embedding_bag(
    input: SymbolicTensor,
    weight: SymbolicTensor,
    offsets: None = None,
    mode: str = "mean",
    per_sample_weights: None = None,
    padding_idx: int | None = None,
) -> SymbolicTensor:
    """The mean, sum or maximum of rows of weight (V, E), those of a row of indices (N, L); padding_idx does not count."""
    for name, value in (("offsets", offsets), ("per_sample_weights", per_sample_weights)):
        if value is not None:
            raise ValueError(
                f"embedding_bag: {name} is {value!r:.60}, expected None: a bag is a row of indices"
            )
    for name, tensor in (("input", input), ("weight", weight)):
        if not isinstance(tensor, SymbolicTensor) or tensor.ndim != 2:
            raise ValueError(f"embedding_bag: {name} is {tensor!r:.60}, expected a tensor of two dimensions")
    if mode not in MODES:
        raise ValueError(f"embedding_bag: mode is {mode!r}, expected one of {sorted(MODES)}")
    rows = weight.shape[0]
    if padding_idx is not None and not (is_whole(padding_idx) and -rows <= padding_idx < rows):
        raise ValueError(
            f"embedding_bag: padding_idx is {padding_idx!r}, expected None or an integer in [{-rows}, {rows - 1}]"
        )
    padding_row = -1 if padding_idx is None else int(padding_idx) % rows
    return input._next(bags(input.builder, weight._number, input.tensor, mode, padding_row))


def rotary(x: SymbolicTensor, base: float = 10000.0, interleaved: bool = False) -> SymbolicTensor:
    """(..., T, E): pairs of features of step t, turned by t / base^(2i/E); pairs are (i, i + E/2), interleaved (2i, 2i + 1)."""
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ValueError(
            f"rotary: x has shape {x.shape}, expected (..., steps, features) with an even number of features"
        )
    return x._next(rotated(x.builder, x._number, base, interleaved))
