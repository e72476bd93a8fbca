"""What attention and transformers refuse: the message names the layer, what was given, what was expected."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn
from helpers.nets import Calls
from helpers.refusals import refused

LAYER = nn.TransformerEncoderLayer


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.MultiheadAttention(0, 1), ["MultiheadAttention", "embed_dim is 0", "at least 1"]),
        (lambda: nn.MultiheadAttention(6, 4), ["num_heads is 4", "divisor of embed_dim", "6"]),
        (lambda: nn.MultiheadAttention(6, 2, dropout=1.5), ["dropout is 1.5", "[0, 1]"]),
        (lambda: nn.MultiheadAttention(6, 2, kdim=0), ["kdim is 0"]),
        (lambda: nn.MultiheadAttention(6, 2, add_bias_kv=True), ["add_bias_kv is True", "not available"]),
        (lambda: nn.MultiheadAttention(6, 2, add_zero_attn=True), ["add_zero_attn is True", "not available"]),
        (lambda: nn.MultiheadAttention(6, 2, batch_first=False), ["batch_first is False", "rows of X come first"]),
        (lambda: LAYER(6, 4), ["TransformerEncoderLayer", "nhead is 4", "divisor of d_model"]),
        (lambda: LAYER(6, 2, batch_first=False), ["TransformerEncoderLayer", "(N, steps, features)"]),
        (lambda: LAYER(6, 2, activation="tanh"), ["activation is 'tanh'", "gelu"]),
        (lambda: LAYER(6, 2, activation=3), ["activation is 3", "'relu', 'gelu'"]),  # type: ignore[arg-type]
        (lambda: LAYER(6, 2, dropout=-1), ["dropout is -1"]),
        (lambda: nn.TransformerEncoder(LAYER(6, 2), 0), ["TransformerEncoder", "num_layers is 0"]),
        (lambda: nn.TransformerDecoderLayer(6, 5), ["TransformerDecoderLayer", "nhead is 5"]),
        (lambda: nn.GLU(0), ["GLU", "dim is 0", "rows"]),
        (lambda: nn.RMSNorm(()), ["RMSNorm", "normalized_shape is ()"]),
        (lambda: nn.RMSNorm(3, eps=-1), ["RMSNorm", "eps is -1"]),
    ],
)  # fmt: skip
def test_arguments(make: Any, words: list[str]) -> None:
    with refused(*words, error=ValueError):
        make()


def test_an_encoder_wants_layers() -> None:
    with refused("encoder_layer is 3", "layer", error=TypeError):
        nn.TransformerEncoder(3, 2)  # type: ignore[arg-type]
    with refused("norm is 'x'", error=TypeError):
        nn.TransformerEncoder(LAYER(6, 2), 2, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (nn.MultiheadAttention(6, 2), (6,), ["MultiheadAttention(6, 2)", "(batch, 6)", "(batch, steps, 6)"]),
        (nn.MultiheadAttention(6, 2), (4, 5), ["(batch, 4, 5)", "(batch, steps, 6)"]),
        (LAYER(6, 2), (2, 3, 6), ["TransformerEncoderLayer(6, 2)", "(batch, 2, 3, 6)"]),
        (nn.GLU(), (5,), ["GLU()", "(batch, 5)", "even"]),
        (nn.GLU(2), (4,), ["GLU(dim=2)", "dimension 2"]),
        (nn.RMSNorm((2, 3)), (3, 2), ["RMSNorm", "(2, 3)"]),
    ],
)
def test_inputs(layer: nn.Module, shape: tuple[int, ...], words: list[str]) -> None:
    model = bp.Model(nn.Sequential(layer, nn.Flatten(), nn.Linear(7, 1)), "mse", backend="numpy")
    with refused(*words, model=model):
        model.fit(np.ones((4, *shape)), np.ones((4, 1)))


def test_a_decoder_behind_another_layer() -> None:
    net = nn.Sequential(nn.Linear(6, 6), nn.TransformerDecoderLayer(6, 2))
    with refused("layer 1, TransformerDecoderLayer(6, 2)", "takes tgt, memory", "one tensor"):
        bp.Model(net, backend="numpy").predict(np.ones((2, 3, 6)))


class Masked(nn.Module):
    """An attention whose arguments are given."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self._arguments = arguments
        self.attention = nn.MultiheadAttention(6, 2)

    def forward(self, x: Any) -> Any:
        return self.attention(x, x, x, **self._arguments)[0]


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Masked(attn_mask=np.zeros((4, 3))), ["attn_mask has shape (4, 3)", "(4, 4) or (6, 4, 4)"]),
        (Masked(key_padding_mask=np.zeros((3, 5), bool)), ["key_padding_mask has shape (3, 5)", "(3, 4)"]),
        (Masked(attn_mask=np.zeros((4, 4), int)), ["attn_mask is", "booleans or floats"]),
        (Masked(is_causal="x"), ["is_causal is 'x'"]),
        (Calls(lambda x: F.scaled_dot_product_attention(x, x[:, :, :5], x)), ["(3, 4, 6), (3, 4, 5)", "(..., T, E)"]),
        (Calls(lambda x: F.scaled_dot_product_attention(x, x, x, np.zeros((5, 4)))), ["attn_mask", "(5, 4)"]),
        (Calls(lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=2)), ["dropout_p is 2", "[0, 1]"]),
        (Calls(lambda x: F.scaled_dot_product_attention(x, x, x, scale="x")), ["scale is 'x'", "finite"]),
        (Calls(lambda x: F.scaled_dot_product_attention(x, x, 3)), ["value is 3"]),
        (Calls(lambda x: F.glu(x[:, :3], 1)), ["glu", "size 3", "even"]),
        (Calls(lambda x: F.rms_norm(x, 5)), ["rms_norm", "(5,)", "(3, 4, 6)"]),
    ],
)  # fmt: skip
def test_within_forward(net: nn.Module, words: list[str]) -> None:
    with refused(*words):
        bp.Model(net, backend="numpy").predict(np.ones((3, 4, 6)))
