"""Transformer encoders: their layer, and several of them."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, ClassVar

from ..program import Builder, Tensor
from ..program.masks import without_padding
from ..program.symbolic import SymbolicTensor
from .module import Module
from .sequences import layer_count
from .transformer_layer import TransformerLayer


class TransformerEncoderLayer(TransformerLayer):
    """Transformer encoder layer: self-attention and a feed-forward network, each with a residual branch (Vaswani et al. 2017).

    x = norm1(x + dropout(attention(x))), y = norm2(x + dropout(linear2(dropout(activation(linear1(x)))))); with `norm_first`
    x = x + dropout(attention(norm1(x))), and so on. Rows with lengths attend to that many steps.

    Args:
        d_model: size of the last dimension of the input.
        nhead: number of heads, a divisor of d_model.
        dim_feedforward: width of the hidden layer, default 2048.
        dropout: probability in all places, default 0.1.
        activation: "relu" (default), "gelu", a layer such as nn.SiLU(), or a function of tensors.
        layer_norm_eps: eps of the normalisations, default 1e-5.
        batch_first: True, the default; rows of X come first.
        norm_first: whether a branch begins with its normalisation, default False.
        bias: whether linear layers and normalisations have biases, default True.
        causal: whether a step attends to no later one, default False.

    Shapes: input and output (N, T, d_model). In a `forward` src_mask is (T, T) or (N · nhead, T, T), src_key_padding_mask (N, T).

    Raises:
        ValueError: an argument out of range; an input of another shape.

    Example:
        >>> nn.TransformerEncoderLayer(16, 4, norm_first=True)
        TransformerEncoderLayer(16, 4, norm_first=True)
    """

    attentions = ("self_attn",)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self.expect_sequence(x)
        return self.layer(builder, without_padding(builder, x), lengths=builder.lengths_of(x.shape[1]))

    def layer(self, builder: Builder, x: Tensor, **given: Any) -> Tensor:
        """The layer on a sequence whose padding is finite."""
        given["causal"] = given.get("causal", False) or self.causal
        x = self.branch(builder, 1, x, lambda b, y: self.attention(b, "self_attn", y, **given))
        return self.branch(builder, 2, x, self.feed_forward)

    def forward(
        self,
        src: SymbolicTensor,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> SymbolicTensor:
        """Within a `forward`; with True in a mask a key takes no part."""
        builder = src.builder
        self.expect_sequence(src.tensor, "src")
        x = without_padding(builder, src._number)
        y = self.layer(
            builder, x, lengths=builder.lengths_of(x.shape[1]), attn_mask=src_mask, key_padding_mask=src_key_padding_mask,
            causal=self.flag("is_causal", is_causal),
        )  # fmt: skip
        return src._next(y)


class TransformerEncoder(Module):
    """Transformer encoder: several layers like one, one after another, then a normalisation if there is one.

    Each layer starts with weights of its own. PyTorch copies those of `encoder_layer`; its `state_dict` fits.

    Args:
        encoder_layer: a layer whose settings all layers have, such as nn.TransformerEncoderLayer(16, 4).
        num_layers: their number.
        norm: the layer behind them, default None.
        enable_nested_tensor, mask_check: accepted for PyTorch's users, default True; they change nothing here.

    Shapes: input and output (N, T, d_model); masks as in `encoder_layer`, with the names mask and src_key_padding_mask.

    Raises:
        TypeError: something that is no layer. ValueError: num_layers below 1.

    Example:
        >>> nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4), 2)
        TransformerEncoder(TransformerEncoderLayer(16, 4), 2)
    """

    structural: ClassVar[tuple[str, ...]] = (
        *("encoder_layer", "num_layers", "norm", "enable_nested_tensor", "mask_check"),
    )

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        for name, layer in (("encoder_layer", encoder_layer), ("norm", norm)):
            if not isinstance(layer, Module) and (layer is not None or name != "norm"):
                raise TypeError(f"TransformerEncoder: {name} is {layer!r:.80}, expected a backpass.nn layer")
        self.flag("enable_nested_tensor", enable_nested_tensor)
        self.flag("mask_check", mask_check)
        self.layers = [deepcopy(encoder_layer) for _ in range(layer_count(self, num_layers))]
        self.norm = norm

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        return self.layers[0].row_shape

    def named_children(self) -> Iterator[tuple[str, Module]]:
        yield from ((f"layers.{i}", layer) for i, layer in enumerate(self.layers))
        if self.norm is not None:
            yield "norm", self.norm

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        return self._all(builder, without_padding(builder, x), lengths=builder.lengths_of(x.shape[1]))

    def forward(
        self,
        src: SymbolicTensor,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool | None = None,
    ) -> SymbolicTensor:
        """Within a `forward`; with True in a mask a key takes no part."""
        builder = src.builder
        y = self._all(
            builder, without_padding(builder, src._number), lengths=builder.lengths_of(src.shape[1]), attn_mask=mask,
            key_padding_mask=src_key_padding_mask, causal=self.flag("is_causal", bool(is_causal)),
        )  # fmt: skip
        return src._next(y)

    def _all(self, builder: Builder, x: Tensor, **given: Any) -> Tensor:
        for name, layer in self.named_children():
            with builder.inside(name):
                if name != "norm" and isinstance(layer, TransformerEncoderLayer):
                    layer.expect_sequence(x)
                    x = layer.layer(builder, x, **given)
                else:
                    x = layer.emit(builder, x)
        return x
