"""Live parity with PyTorch: attention, gated units, RMSNorm."""

from typing import Any

import numpy as np
import pytest

from golden.cases import Case
from helpers.backends import BACKENDS
from helpers.torch_parity import check_trajectory, runs
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
    padding,
)

pytestmark = pytest.mark.torch


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
}
CORE = [
    *(
        "attention, causal",
        "attention, padding and numbers",
        "attention, weights, learned mask",
        "dot product",
        "rms norm",
    ),
]


@pytest.mark.parametrize(("name", "on", "dtype"), runs(CASES, CORE))
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[on], dtype, record_property)
