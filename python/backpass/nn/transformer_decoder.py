"""Transformer decoders: their layer."""

from collections.abc import Mapping
from typing import Any

from ..program import Builder, Tensor
from ..program.symbolic import SymbolicTensor
from .module import Kind
from .transformer_layer import TransformerLayer


class TransformerDecoderLayer(TransformerLayer):
    """Transformer decoder layer: self-attention, attention to another sequence, a feed-forward network (Vaswani et al. 2017).

    Each has a residual branch, dropout and a normalisation, as in TransformerEncoderLayer. Lengths of rows are not read: padding
    of the memory is what memory_key_padding_mask says.

    Args:
        d_model: size of the last dimension of both inputs.
        nhead: number of heads, a divisor of d_model.
        dim_feedforward: width of the hidden layer, default 2048.
        dropout: probability in all places, default 0.1.
        activation: "relu" (default), "gelu", a layer such as nn.SiLU(), or a function of tensors.
        layer_norm_eps: eps of the normalisations, default 1e-5.
        batch_first: True, the default; rows of X come first.
        norm_first: whether a branch begins with its normalisation, default False.
        bias: whether linear layers and normalisations have biases, default True.
        causal: whether a step attends to no later one of its own sequence, default False.

    Shapes: inputs tgt (N, T, d_model) and memory (N, S, d_model), output (N, T, d_model). In a `forward` tgt_mask is (T, T),
        memory_mask (T, S), tgt_key_padding_mask (N, T), memory_key_padding_mask (N, S).

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.TransformerDecoderLayer(16, 4, activation="gelu")
        TransformerDecoderLayer(16, 4, activation='gelu')
    """

    attentions = ("self_attn", "multihead_attn")

    @property
    def takes(self) -> Mapping[str, Kind]:
        return {"tgt": "number", "memory": "number"}

    def emit(self, builder: Builder, tgt: Tensor, memory: Tensor) -> Tensor:
        return self._layer(builder, tgt, memory, {"causal": self.causal}, {})

    def forward(
        self,
        tgt: SymbolicTensor,
        memory: SymbolicTensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> SymbolicTensor:
        """Within a `forward`; with True in a mask a key takes no part."""
        own = {
            "attn_mask": tgt_mask,
            "key_padding_mask": tgt_key_padding_mask,
            "causal": self.flag("tgt_is_causal", tgt_is_causal) or self.causal,
        }
        other = {
            "attn_mask": memory_mask,
            "key_padding_mask": memory_key_padding_mask,
            "causal": self.flag("memory_is_causal", memory_is_causal),
        }
        return tgt._next(self._layer(tgt.builder, tgt._number, memory._number, own, other))

    def _layer(
        self, builder: Builder, tgt: Tensor, memory: Tensor, own: dict[str, Any], other: dict[str, Any]
    ) -> Tensor:
        self.expect_sequence(tgt, "tgt")
        self.expect_sequence(memory, "memory")
        x = self.branch(builder, 1, tgt, lambda b, y: self.attention(b, "self_attn", y, **own))
        x = self.branch(builder, 2, x, lambda b, y: self.attention(b, "multihead_attn", y, memory, **other))
        return self.branch(builder, 3, x, self.feed_forward)
