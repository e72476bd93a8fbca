"""Multi-head attention of sequences."""

from collections.abc import Iterator
from math import sqrt
from typing import Any, ClassVar

from ..ops import linear_forward
from ..program import Builder, Tensor
from ..program.attention import attention, packed_attention
from ..program.masks import without_padding
from ..program.symbolic import SymbolicTensor
from ..program.views import part
from .attention_masks import mask_of_heads
from .initial_weights import xavier_uniform, zeros
from .linear import Linear
from .module import Module
from .sequences import batch_first_only, unavailable


class MultiheadAttention(Module):
    """Multi-head attention: softmax(q kᵀ / √d) v for each head, between linear layers (Vaswani et al. 2017).

    In a Sequential it is self-attention, x → output. In a `forward`, `attention(query, key, value)` gives (output, weights) as in
    PyTorch; there `need_weights=False` makes the weights None, and masks of booleans say with True which keys take no part.
    Queries without any key give zeros to the last linear layer. Rows with lengths attend to that many steps, where query, key and
    value are one tensor.

    Args:
        embed_dim: size of the last dimension of queries and outputs.
        num_heads: number of heads, a divisor of embed_dim.
        dropout: probability that a weight is dropped while training, default 0.0.
        bias: whether the linear layers have biases, default True.
        add_bias_kv, add_zero_attn: False, the default; PyTorch's keys of their own are not available.
        kdim, vdim: sizes of the last dimensions of keys and values, default None, embed_dim.
        batch_first: True, the default; rows of X come first.
        causal: whether a query attends to no later key, default False.

    Shapes: queries and output (N, T, embed_dim), keys (N, S, kdim), values (N, S, vdim); weights (N, T, S), by heads with
        `average_attn_weights=False`. Masks: key_padding_mask (N, S), attn_mask (T, S) or (N · num_heads, T, S).

    Raises:
        ValueError: an argument out of range, add_bias_kv, add_zero_attn; an input or a mask of another shape.

    Example:
        >>> nn.MultiheadAttention(16, 4)
        MultiheadAttention(16, 4)
    """

    structural: ClassVar[tuple[str, ...]] = ("embed_dim", "num_heads", "kdim", "vdim")

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = True,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.embed_dim = width = self.positive_int("embed_dim", embed_dim)
        self.num_heads = self.positive_int("num_heads", num_heads)
        if width % self.num_heads:
            raise ValueError(
                f"MultiheadAttention: num_heads is {num_heads}, expected a divisor of embed_dim, which is {width}"
            )
        self.dropout = self.in_range("dropout", dropout, 0, 1)
        unavailable(self, add_bias_kv=add_bias_kv, add_zero_attn=add_zero_attn)
        self.kdim = width if kdim is None else self.positive_int("kdim", kdim)
        self.vdim = width if vdim is None else self.positive_int("vdim", vdim)
        batch_first_only(self, batch_first)
        self.causal = self.flag("causal", causal)
        self.packed = self.kdim == self.vdim == width
        if self.packed:
            self.parameter("in_proj_weight", (width, 3 * width), xavier_uniform, axes=(1, 0))
        else:
            for name, size in (("q", width), ("k", self.kdim), ("v", self.vdim)):
                self.parameter(f"{name}_proj_weight", (size, width), xavier_uniform, axes=(1, 0))
        if self.flag("bias", bias):
            self.parameter("in_proj_bias", (3 * width,), zeros)
        self.out_proj = Linear(width, width, bias)
        if bias:
            self.out_proj.parameter("bias", (width,), zeros)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        yield "out_proj", self.out_proj

    def adopt(self, twin: Any, name: str) -> None:
        """A changed setting; the weights stay."""
        if self._flat is not None:
            twin.__dict__["out_proj"] = self.out_proj
        super().adopt(twin, name)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self._expect(x, self.embed_dim, "the input")
        x = without_padding(builder, x)
        return self.attend(builder, x, x, x, lengths=builder.lengths_of(x.shape[1]))[0]

    def attend(
        self,
        builder: Builder,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        lengths: Tensor | None = None,
        key_padding_mask: Any = None,
        attn_mask: Any = None,
        causal: bool = False,
        shown: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Emit the attention of one sequence to another; returns the output, and the weights by heads if `shown`."""
        for name, x, size in (
            ("query", query, self.embed_dim), ("key", key, self.kdim), ("value", value, self.vdim)
        ):  # fmt: skip
            self._expect(x, size, name)
        samples, steps, keys = query.shape[0], query.shape[1], key.shape[1]
        if key.shape[:2] != value.shape[:2] or key.shape[0] != samples:
            raise ValueError(
                f"{self!r}: query, key and value have the shapes {query.shape}, {key.shape} and {value.shape}, expected"
                " (N, T, ...), (N, S, ...) and (N, S, ...)"
            )
        shape = (samples, self.num_heads, steps, keys)
        fields: dict[str, Any] = {
            "lengths": lengths,
            "mask": mask_of_heads(builder, repr(self), key_padding_mask, attn_mask, shape),
            "scale": 1 / sqrt(self.embed_dim // self.num_heads),
            "causal": causal or self.causal,
            "p": self.dropout,
            "shown": shown,
        }
        if self.packed and query is key is value:
            weight, bias = self.tensor("in_proj_weight"), self.tensor("in_proj_bias")
            qkv = builder.emit(linear_forward, x=builder.contiguous(query), weight=weight, bias=bias)
            y, weights = packed_attention(builder, qkv, self.num_heads, **fields)
        else:
            q, k, v = (self._projected(builder, i, x) for i, x in enumerate((query, key, value)))
            y, weights = attention(builder, q, k, v, **fields)
        y = builder.reshape(y, (samples, steps, self.embed_dim))
        with builder.inside("out_proj"):
            y = self.out_proj.emit(builder, y)
        return y, weights

    def forward(
        self,
        query: SymbolicTensor,
        key: SymbolicTensor,
        value: SymbolicTensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[SymbolicTensor, SymbolicTensor | None]:
        """Within a `forward`: the output and the weights, those that dropout left."""
        builder, lengths = query.builder, None
        tensors = [x._number for x in (query, key, value)]
        if query is key is value or query.tensor is key.tensor is value.tensor:
            tensors = [without_padding(builder, tensors[0])] * 3
            lengths = builder.lengths_of(tensors[0].shape[1])
        y, weights = self.attend(
            builder,
            *tensors,
            lengths=lengths,
            key_padding_mask=key_padding_mask,
            attn_mask=attn_mask,
            causal=self.flag("is_causal", is_causal),
            shown=self.flag("need_weights", need_weights),
        )
        if weights is None:
            return query._next(y), None
        shown = query._next(weights)
        return query._next(y), shown.mean(1) if average_attn_weights else shown

    def _expect(self, x: Tensor, size: int, name: str) -> None:
        if len(x.shape) != 3 or x.shape[2] != size:
            raise self.unfit(x, f"(batch, steps, {size})", name)

    def _projected(self, builder: Builder, place: int, x: Tensor) -> Tensor:
        """Query, key or value behind its linear layer, by heads."""
        columns = slice(place * self.embed_dim, (place + 1) * self.embed_dim)
        weight, bias = self.tensor("in_proj_weight"), self.tensor("in_proj_bias")
        if weight is None:
            weight = self.tensor(f"{'qkv'[place]}_proj_weight")
        else:
            weight = part(builder, weight, (slice(None), columns))
        bias = None if bias is None else part(builder, bias, columns)
        y = builder.emit(linear_forward, x=x, weight=weight, bias=bias)
        return builder.reshape(y, (*y.shape[:2], self.num_heads, self.embed_dim // self.num_heads))
