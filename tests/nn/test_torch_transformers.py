"""Live parity with PyTorch: transformers, and a checkpoint of one."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from golden.cases import Case
from helpers.backends import BACKENDS
from helpers.torch_parity import check_trajectory, runs, torch_peer
from helpers.torch_sequences import (
    BIAS,
    SPARSE,
    STEPS,
    UPPER,
    WIDTH,
    functions,
    like,
    module,
    network,
    ours,
    padding,
)

pytestmark = pytest.mark.torch


def encoder(*, layers: int = 2, final: bool = True, **arguments: Any) -> Case:
    """A transformer encoder by the arguments of its layers; without dropout, whose numbers are its own."""
    activation = arguments.pop("activation", "relu")

    def net(nn: Any) -> Any:
        chosen = activation(nn) if callable(activation) else activation
        layer = nn.TransformerEncoderLayer(
            WIDTH, 2, 9, dropout=0.0, activation=chosen, batch_first=True, **arguments
        )
        norm = nn.LayerNorm(WIDTH) if final else None
        more = {} if ours(nn) else {"enable_nested_tensor": False}
        return nn.Sequential(
            nn.TransformerEncoder(layer, layers, norm, **more), nn.Flatten(), nn.Linear(STEPS * WIDTH, 4)
        )

    return network(net, lr=0.02)


def masked_encoder(nn: Any) -> Any:
    layer = nn.TransformerEncoderLayer(WIDTH, 3, 8, dropout=0.0, batch_first=True, norm_first=True)
    more = {} if ours(nn) else {"enable_nested_tensor": False}
    layers = {
        "encoder": nn.TransformerEncoder(layer, 2, **more),
        "behind": nn.TransformerEncoderLayer(WIDTH, 1, 5, dropout=0.0, batch_first=True),
        "last": nn.Linear(STEPS * WIDTH, 4),
    }

    def forward(self: Any, x: Any) -> Any:
        h = self.encoder(x, mask=like(x, SPARSE), src_key_padding_mask=x[:, :, 0] > 1.3)
        h = self.behind(h, src_mask=like(x, UPPER), is_causal=True)
        return self.last(h.flatten(1))

    return layers, forward


def decoder(**arguments: Any) -> Case:
    activation = arguments.pop("activation", "relu")

    def body(nn: Any) -> Any:
        chosen = activation(nn) if callable(activation) else activation
        layers = {
            "first": nn.Linear(WIDTH, WIDTH),
            "decoder": nn.TransformerDecoderLayer(
                WIDTH, 2, 7, dropout=0.0, activation=chosen, batch_first=True, **arguments
            ),
            "last": nn.Linear(3 * WIDTH, 4),
        }

        def forward(self: Any, x: Any) -> Any:
            masks = {
                "tgt_mask": like(x, UPPER[:3, :3]),
                "memory_mask": like(x, BIAS[:3]),
                "memory_key_padding_mask": padding(x, 1.3, True),
                "tgt_is_causal": True,
            }
            return self.last(self.decoder(self.first(x[:, :3]), x, **masks).flatten(1))

        return layers, forward

    return network(module(body), lr=0.02)


CASES = {
    "encoder": encoder(),
    "encoder, one layer, no norm": encoder(layers=1, final=False),
    "encoder, norm first": encoder(norm_first=True),
    "encoder, gelu": encoder(activation="gelu"),
    "encoder, function": encoder(activation=lambda nn: functions(nn)[0].silu),
    "encoder, layer": encoder(activation=lambda nn: nn.Tanh()),
    "encoder, no bias, eps": encoder(bias=False, layer_norm_eps=1e-2),
    "encoder, masks": network(module(masked_encoder), lr=0.02),
    "decoder": decoder(),
    "decoder, norm first, gelu": decoder(norm_first=True, activation="gelu", bias=False),
}
CORE = ["encoder", "encoder, masks", "decoder"]


@pytest.mark.parametrize(("name", "on", "dtype"), runs(CASES, CORE))
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[on], dtype, record_property)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_checkpoint_of_torch(norm_first: bool) -> None:
    """It is loaded strictly, and predicts within 1e-12; so does a batch with padding, by masks there and lengths here."""
    torch = torch_peer().torch
    layer = torch.nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, norm_first=norm_first)
    peer = torch.nn.TransformerEncoder(layer, 3, torch.nn.LayerNorm(16), enable_nested_tensor=False).double()
    net = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 4, 24, norm_first=norm_first), 3, nn.LayerNorm(16)
    )
    model = bp.Model(net, dtype="float64")
    model.load_state_dict(peer.state_dict())
    assert [*model.state_dict()] == [*peer.state_dict()]
    x, lengths = np.random.default_rng(0).standard_normal((5, 9, 16)), np.array([9, 4, 1, 8, 2])
    padding = np.arange(9) >= lengths[:, None]
    with torch.no_grad():
        peer.eval()
        want = peer(torch.tensor(x)).numpy()
        cut = peer(torch.tensor(x), src_key_padding_mask=torch.tensor(padding)).numpy()
    assert np.abs(model.predict(x) - want).max() <= 1e-12
    assert np.abs(model.predict(x, lengths=lengths) - cut)[~padding].max() <= 1e-12
