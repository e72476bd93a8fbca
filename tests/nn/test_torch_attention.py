"""Live parity with PyTorch: attention, transformers, gated units, RMSNorm."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional
from backpass import nn
from backpass.program.symbolic import SymbolicTensor
from golden.cases import Case, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import Builder, check_trajectory, runs, torch_peer

pytestmark = pytest.mark.torch

STEPS, WIDTH = 5, 6
UPPER = np.triu(np.ones((STEPS, STEPS), bool), 1)
BIAS = 0.3 * np.cos(np.arange(STEPS * STEPS)).reshape(STEPS, STEPS)
# No key is left for one query: PyTorch gives NaN there, so it has a case of its own.
SPARSE = (np.arange(STEPS)[:, None] + np.arange(STEPS)) % 3 == 1


def network(net: Builder, *shape: int, lr: float = 0.05, **more: Any) -> Case:
    return Case(net, mse, "SGD", {"lr": lr, "momentum": 0.8}, shape=shape or (STEPS, WIDTH), **more)


def ours(nn: Any) -> bool:
    return nn is bp.nn


def like(x: Any, array: np.ndarray) -> Any:
    """A constant where x is: a tensor of its dtype in PyTorch."""
    if isinstance(x, SymbolicTensor):
        return array
    torch = torch_peer().torch
    return torch.tensor(array, dtype=torch.bool if array.dtype == bool else x.dtype)


def padding(x: Any, limit: float, numbers: bool) -> Any:
    """Which keys take no part, chosen by the data; as numbers where PyTorch wants all masks of one kind."""
    chosen = x[:, :, 0] > limit
    if not numbers or isinstance(x, SymbolicTensor):
        return chosen
    return torch_peer().torch.where(chosen, -np.inf, x.new_zeros(()))


def functions(nn: Any) -> tuple[Any, Any]:
    """F and torch, or what stands in their place."""
    return (bp.nn.functional, bp) if ours(nn) else (torch_peer().torch.nn.functional, torch_peer().torch)


def module(body: Any) -> Builder:
    """A network: whatever `body(nn)` gives is (layers, forward), and a linear layer behind it."""

    def make(nn: Any) -> Any:
        layers, forward = body(nn)

        class Net(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                for name, layer in layers.items():
                    setattr(self, name, layer)

            def forward(self, x: Any) -> Any:
                return forward(self, x)

        return Net()

    return make


def attention(*, size: int = WIDTH, heads: int = 2, **arguments: Any) -> Case:
    """Self-attention by its arguments."""
    causal = arguments.pop("is_causal", False)

    def body(nn: Any) -> Any:
        layers = {
            "first": nn.Linear(WIDTH, size),
            "attention": nn.MultiheadAttention(size, heads, batch_first=True, **arguments),
            "last": nn.Linear(STEPS * size, 4),
        }

        def forward(self: Any, x: Any) -> Any:
            h = self.first(x)
            masks = {"attn_mask": like(x, UPPER), "is_causal": True} if causal else {}
            y, weights = self.attention(h, h, h, need_weights=False, **masks)
            assert weights is None
            return self.last((h + y).flatten(1))

        return layers, forward

    return network(module(body))


def masked(mask: np.ndarray | None = None, **chosen: Any) -> Case:
    """Self-attention with a mask of the attention, and one of the padding that the data choose."""

    def body(nn: Any) -> Any:
        layers = {
            "attention": nn.MultiheadAttention(WIDTH, 3, batch_first=True),
            "last": nn.Linear(STEPS * WIDTH, 4),
        }

        def forward(self: Any, x: Any) -> Any:
            masks = {} if mask is None else {"attn_mask": like(x, mask)}
            if chosen.get("padding"):
                masks["key_padding_mask"] = padding(x, chosen["padding"], mask is not None)
            return self.last((x + self.attention(x, x, x, **masks)[0]).flatten(1))

        return layers, forward

    return network(module(body))


def learned_mask(nn: Any) -> Any:
    """Numbers that are added, by row and head, and have a gradient."""
    layers = {
        "scores": nn.Linear(WIDTH, STEPS),
        "attention": nn.MultiheadAttention(WIDTH, 2, batch_first=True),
        "last": nn.Linear(STEPS * WIDTH, 4),
    }

    def forward(self: Any, x: Any) -> Any:
        _, torch = functions(nn)
        scores = self.scores(x)
        mask = torch.stack([scores, scores.tanh()], dim=1).flatten(0, 1)
        return self.last(self.attention(x, x, x, attn_mask=mask, need_weights=False)[0].flatten(1))

    return layers, forward


def weighed(average: bool, packed: bool, mask: bool = False) -> Case:
    """The weights are used as well, so that their gradient counts."""

    def body(nn: Any) -> Any:
        heads = 1 if average else 2
        layers = {
            "first": nn.Linear(WIDTH, WIDTH),
            "scores": nn.Linear(WIDTH, STEPS),
            "attention": nn.MultiheadAttention(WIDTH, 2, batch_first=True),
            "last": nn.Linear(STEPS * (WIDTH + heads * STEPS), 4),
        }

        def forward(self: Any, x: Any) -> Any:
            _, torch = functions(nn)
            h = self.first(x)
            key = h if packed else h.tanh()
            masks = {}
            scores = self.scores(h)
            if mask:
                masks["attn_mask"] = torch.stack([scores, scores], dim=1).flatten(0, 1)
            y, w = self.attention(h, key, key, average_attn_weights=average, **masks)
            return self.last(torch.cat([(y + scores.sum(-1, keepdim=True)).flatten(1), w.flatten(1)], dim=1))

        return layers, forward

    return network(module(body))


def cross(**arguments: Any) -> Case:
    """Two queries to five keys, whose features may be fewer, and whose values are others."""
    kdim, vdim = arguments.get("kdim", WIDTH), arguments.get("vdim", WIDTH)

    def body(nn: Any) -> Any:
        layers = {
            "attention": nn.MultiheadAttention(WIDTH, 2, batch_first=True, **arguments),
            "last": nn.Linear(2 * WIDTH, 4),
        }

        def forward(self: Any, x: Any) -> Any:
            y, _ = self.attention(x[:, 1:3], x[:, :, :kdim], x[:, :, WIDTH - vdim :])
            return self.last(y.flatten(1))

        return layers, forward

    return network(module(body))


def dot_product(nn: Any) -> Any:
    """F.scaled_dot_product_attention by heads, without, and over more dimensions; masks say what takes part."""
    layers = {"qkv": nn.Linear(WIDTH, 18), "last": nn.Linear(STEPS * WIDTH, 4)}

    def forward(self: Any, x: Any) -> Any:
        F, _ = functions(nn)
        sdpa = F.scaled_dot_product_attention
        q, k, v = self.qkv(x).split(WIDTH, dim=2)
        by_heads = [t.view(-1, STEPS, 2, 3).transpose(1, 2) for t in (q, k, v)]
        a = sdpa(*by_heads, is_causal=True).transpose(1, 2).flatten(2)
        b = sdpa(q, k, v, like(x, ~SPARSE), scale=0.3) + sdpa(q[:, :2], k, v, like(x, BIAS[:2]))[:, :1]
        deep = [t.view(-1, STEPS, 3, 2, 1).permute(0, 2, 3, 1, 4) for t in (q, k, v)]
        c = sdpa(*deep, like(x, BIAS)).permute(0, 3, 1, 2, 4).flatten(2)
        return self.last((a + b + c).flatten(1))

    return layers, forward


def gates(nn: Any) -> Any:
    layers = {
        "gate": nn.GLU(),
        "other": nn.GLU(1),
        "first": nn.Linear(WIDTH, 16),
        "last": nn.Linear(2 * 4, 4),
    }

    def forward(self: Any, x: Any) -> Any:
        F, _ = functions(nn)
        h = self.first(x)[:, :4]
        a, b = self.gate(h).chunk(2, dim=-1)
        return self.last((self.other(F.silu(a) * b) + F.glu(self.gate(h)[:, :2])).flatten(1))

    return layers, forward


def rms_norm(size: Any, *shape: int, **arguments: Any) -> Case:
    width = int(np.prod(shape))
    return network(
        lambda nn: nn.Sequential(
            nn.RMSNorm(size, **arguments), nn.Flatten(), nn.Linear(width, 8), nn.RMSNorm(8), nn.Linear(8, 4)
        ),
        *shape,
        lr=0.01,
    )


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
    "attention": attention(),
    "attention, one head": attention(heads=1),
    "attention, heads of width 1": attention(heads=WIDTH),
    "attention, width 1": attention(size=1, heads=1),
    "attention, wide": attention(size=40, heads=2),
    "attention, no bias": attention(bias=False),
    "attention, causal": attention(is_causal=True),
    "attention, boolean mask": masked(UPPER),
    "attention, numbers added": masked(BIAS),
    "attention, padding": masked(padding=0.8),
    "attention, padding and numbers": masked(np.where(SPARSE, -np.inf, 0.3), padding=1.3),
    "attention, learned mask": network(module(learned_mask)),
    "attention, weights": weighed(average=True, packed=True),
    "attention, weights by heads": weighed(average=False, packed=False),
    "attention, weights, learned mask": weighed(average=False, packed=True, mask=True),
    "attention, cross": cross(),
    "attention, kdim and vdim": cross(kdim=4, vdim=3),
    "attention, kdim, no bias": cross(kdim=1, bias=False),
    "dot product": network(module(dot_product)),
    "gates": network(module(gates)),
    "rms norm": rms_norm(6, 6),
    "rms norm, eps": rms_norm(6, 6, eps=0.1),
    "rms norm, tuple": rms_norm((3, 5), 3, 5),
    "rms norm, not affine": rms_norm((3, 5), 3, 5, elementwise_affine=False),
    "rms norm, one feature": rms_norm(1, 4, 1, eps=0.5),
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
CORE = [
    "attention, causal",
    "attention, padding and numbers",
    "attention, weights, learned mask",
    "dot product",
    "rms norm",
    "encoder",
]


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
