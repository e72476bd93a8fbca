"""Functions of sequences: attention, gated units, normalisation by the root mean square."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..checks import flag, real
from ..ops import rms_norm_forward
from ..program import Tensor
from ..program.attention import added, attention, scores_mask
from ..program.symbolic import SymbolicTensor, of_several
from ..program.views import expand, permute
from .gated import gated


def scaled_dot_product_attention(
    query: SymbolicTensor,
    key: SymbolicTensor,
    value: SymbolicTensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> SymbolicTensor:
    """softmax(q kᵀ · scale) v of (..., T, E), (..., S, E), (..., S, F); queries without any key give 0.

    attn_mask: booleans of an array, or integers of a tensor, say what takes part; other numbers are added to the scores.
    dropout_p: of the probabilities, while training. scale: default 1 / √E.
    """
    tensors = [query, key, value]
    for name, x in zip(("query", "key", "value"), tensors, strict=True):
        if not isinstance(x, SymbolicTensor) or x.ndim < 2:
            raise ValueError(
                f"scaled_dot_product_attention: {name} is {x!r:.60}, expected a tensor (..., steps, features)"
            )
    try:
        lead = np.broadcast_shapes(*(x.shape[:-2] for x in tensors))
        fits = query.shape[-1] == key.shape[-1] and key.shape[-2] == value.shape[-2]
    except ValueError:
        fits = False
    if not fits:
        shapes = ", ".join(str(x.shape) for x in tensors)
        raise ValueError(
            f"scaled_dot_product_attention: query, key and value have the shapes {shapes}, expected (..., T, E), (..., S, E)"
            " and (..., S, F)"
        )
    p = real(dropout_p)
    if not 0 <= p <= 1:
        raise ValueError(
            f"scaled_dot_product_attention: dropout_p is {dropout_p!r}, expected a number in [0, 1]"
        )
    factor = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else real(scale)
    if not math.isfinite(factor):
        raise ValueError(f"scaled_dot_product_attention: scale is {scale!r}, expected a finite number")
    builder = query.builder
    # (B, heads, ...) of any leading dimensions
    outer = (prod(lead[:-1]), *lead[-1:]) if len(lead) >= 2 else (*lead, 1, 1)[:2]

    def by_heads(x: Tensor) -> Tensor:
        x = expand(builder, x, (*lead, *x.shape[-2:]))
        return x if len(lead) == 2 else builder.reshape(x, (*outer, *x.shape[-2:]))

    mask = None
    if attn_mask is not None:
        total = added(builder, "attn_mask", attn_mask, leaves_out=False)
        scores = (*lead, query.shape[-2], key.shape[-2])
        fitted = scores_mask(builder, {"attn_mask": total}, scores)
        assert fitted is not None
        mask = by_heads(fitted)
    q, k, v = (permute(builder, by_heads(x._number), (0, 2, 1, 3)) for x in tensors)
    causal = flag("scaled_dot_product_attention: is_causal", is_causal)
    y, _ = attention(builder, q, k, v, mask=mask, scale=factor, causal=causal, p=p)
    y = permute(builder, y, (0, 2, 1, 3))
    if len(lead) != 2:
        y = builder.reshape(y, (*lead, *y.shape[-2:]))
    return of_several(builder, y, y.shape, [*tensors, *([] if attn_mask is None else [attn_mask])])


def glu(x: SymbolicTensor, dim: int = -1) -> SymbolicTensor:
    """a σ(b), where a and b are the halves of x along dim."""
    return gated(x, dim)


def rms_norm(
    x: SymbolicTensor, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None
) -> SymbolicTensor:
    """x / √(mean(x²) + eps) · weight, over the last dimensions; eps None is the machine epsilon of the model's dtype."""
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    lead = x.ndim - len(sizes)
    if lead < 0 or not sizes or x.shape[lead:] != sizes:
        raise ValueError(f"rms_norm: normalized_shape is {sizes}, expected the last dimensions of {x.shape}")
    rows = x.reshape([*x.shape[:lead], prod(sizes)])
    y = x.builder.emit(
        rms_norm_forward,
        x=rows._number,
        weight=None if weight is None else weight.reshape(prod(sizes)).tensor,
        eps=float(np.finfo(x.builder.dtype).eps if eps is None else eps),
    )
    return rows._next(y).reshape(x.shape)
