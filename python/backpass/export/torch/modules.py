"""Modules of PyTorch for layers that torch.nn lacks, or that give one tensor to the next layer of a Sequential here.

A class has the name, the arguments and the keys of the layer that it stands for.
"""

from typing import Any

import torch
from torch import nn


class Residual(nn.Module):  # type: ignore[misc] # here and below: PyTorch is optional
    """shortcut(x) + inner(x)."""

    def __init__(self, inner: Any, shortcut: Any = None) -> None:
        super().__init__()
        self.inner, self.shortcut = inner, shortcut

    def forward(self, x: Any) -> Any:
        return (x if self.shortcut is None else self.shortcut(x)) + self.inner(x)


class Permute(nn.Module):  # type: ignore[misc]
    """Dimensions in another order."""

    def __init__(self, dims: Any = (0, 2, 1)) -> None:
        super().__init__()
        self.dims = tuple(dims)

    def forward(self, x: Any) -> Any:
        return x.permute(*self.dims)


class GlobalAvgPool(nn.Module):  # type: ignore[misc]
    """Mean over all positions of each channel."""

    def forward(self, x: Any) -> Any:
        return x.flatten(2).mean(-1)


class GlobalMaxPool(nn.Module):  # type: ignore[misc]
    """Maximum over all positions of each channel."""

    def forward(self, x: Any) -> Any:
        return nn.functional.adaptive_max_pool1d(x.flatten(2), 1)[..., 0]


class PositionalEmbedding(nn.Module):  # type: ignore[misc]
    """Learned positions."""

    def __init__(self, max_len: int, embedding_dim: int) -> None:
        super().__init__()
        self.max_len, self.embedding_dim = max_len, embedding_dim
        self.weight = nn.Parameter(torch.randn(max_len, embedding_dim))

    def forward(self, x: Any) -> Any:
        return x + self.weight[: x.shape[-2]]


class SinusoidalPositions(nn.Module):  # type: ignore[misc]
    """Fixed positions."""

    def __init__(self, embedding_dim: int, max_len: int = 5000, base: float = 10000.0) -> None:
        super().__init__()
        self.embedding_dim, self.max_len, self.base = embedding_dim, max_len, base

    def forward(self, x: Any) -> Any:
        steps = torch.arange(x.shape[-2], dtype=torch.float64, device=x.device)[:, None]
        pairs = torch.arange(0, self.embedding_dim, 2, dtype=torch.float64, device=x.device)
        rates = self.base ** (-pairs / self.embedding_dim)
        table = torch.stack([torch.sin(steps * rates), torch.cos(steps * rates)], dim=-1).flatten(1)
        return x + table[:, : self.embedding_dim].to(x.dtype)


class Outputs:
    """Recurrent layers that give their outputs alone: all of them, or the last ones."""

    bidirectional: bool

    def __init__(self, *sizes: int, returns: str = "sequence", **settings: Any) -> None:
        super().__init__(*sizes, **settings)
        self.returns = returns

    def forward(self, x: Any) -> Any:
        y, last = super().forward(x)  # type: ignore[misc]
        h = last[0] if isinstance(last, tuple) else last
        return y if self.returns == "sequence" else torch.cat([*h[-1 - self.bidirectional :]], dim=1)


class RNN(Outputs, nn.RNN):  # type: ignore[misc]
    """RNN that gives its outputs."""


class LSTM(Outputs, nn.LSTM):  # type: ignore[misc]
    """LSTM that gives its outputs."""


class GRU(Outputs, nn.GRU):  # type: ignore[misc]
    """GRU that gives its outputs."""


def later_steps(x: Any) -> Any:
    """The mask (T, T) of steps that come later: True takes no part."""
    steps = x.shape[1]
    return torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)


class MultiheadAttention(nn.MultiheadAttention):  # type: ignore[misc]
    """Self-attention, x to output."""

    def __init__(self, *sizes: int, causal: bool = False, **settings: Any) -> None:
        super().__init__(*sizes, **settings)
        self.causal = causal

    def forward(self, x: Any) -> Any:
        mask = later_steps(x) if self.causal else None
        return super().forward(x, x, x, attn_mask=mask, need_weights=False)[0]


class TransformerEncoderLayer(nn.TransformerEncoderLayer):  # type: ignore[misc]
    """Layer of which a step attends to no later one, if it is causal."""

    def __init__(self, *sizes: int, causal: bool = False, **settings: Any) -> None:
        super().__init__(*sizes, **settings)
        self.causal = causal

    def forward(self, src: Any, src_mask: Any = None, **masks: Any) -> Any:
        if self.causal and src_mask is None:
            masks["is_causal"], src_mask = False, later_steps(src)
        return super().forward(src, src_mask, **masks)


class TransformerDecoderLayer(nn.TransformerDecoderLayer):  # type: ignore[misc]
    """Layer of which a step attends to no later one of its own sequence, if it is causal."""

    def __init__(self, *sizes: int, causal: bool = False, **settings: Any) -> None:
        super().__init__(*sizes, **settings)
        self.causal = causal

    def forward(self, tgt: Any, memory: Any, tgt_mask: Any = None, **masks: Any) -> Any:
        if self.causal and tgt_mask is None:
            tgt_mask = later_steps(tgt)
        return super().forward(tgt, memory, tgt_mask, **masks)
