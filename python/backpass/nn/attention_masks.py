"""Masks of multi-head attention, under PyTorch's names and with its shapes."""

from math import inf
from typing import Any

from ..program import Builder, Tensor
from ..program.arithmetic import elementwise
from ..program.attention import added, scores_mask
from ..program.symbolic import SymbolicTensor


def mask_of_heads(
    builder: Builder, layer: str, key_padding_mask: Any, attn_mask: Any, shape: tuple[int, int, int, int]
) -> Tensor | None:
    """The sum of both masks, as numbers that are added to scores (N, heads, T, S); booleans say with True what takes no part.

    Args:
        layer: what an error names.
        key_padding_mask: (N, S), of a tensor what is not 0 takes no part. attn_mask: (T, S) or (N · heads, T, S).
    """
    samples, heads, steps, keys = shape
    masks: dict[str, Tensor] = {}
    if key_padding_mask is not None:
        if isinstance(key_padding_mask, SymbolicTensor):  # of a comparison too, which gives numbers
            numbers = elementwise(builder, "where", key_padding_mask._number, -inf, 0.0)
        else:
            numbers = added(builder, "key_padding_mask", key_padding_mask, leaves_out=True)
        shapes: dict[tuple[int, ...], tuple[int, ...]] = {(samples, keys): (samples, 1, 1, keys)}
        masks["key_padding_mask"] = _shaped(builder, layer, "key_padding_mask", numbers, shapes)
    if attn_mask is not None:
        numbers = added(builder, "attn_mask", attn_mask, leaves_out=True)
        shapes = {(steps, keys): (1, 1, steps, keys), (samples * heads, steps, keys): shape}
        masks["attn_mask"] = _shaped(builder, layer, "attn_mask", numbers, shapes)
    return scores_mask(builder, masks, shape)


def _shaped(
    builder: Builder, layer: str, name: str, mask: Tensor, shapes: dict[tuple[int, ...], tuple[int, ...]]
) -> Tensor:
    """A mask with all four dimensions, by the shapes that it may have."""
    if mask.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"{layer}: {name} has shape {mask.shape}, expected {expected}")
    return builder.reshape(mask, shapes[mask.shape])
