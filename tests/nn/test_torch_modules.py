"""One class body, with PyTorch's nn and with ours: the same losses, step by step, in float64."""

import math
from collections.abc import Callable
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional
from backpass import optim
from backpass.backends import Backend
from helpers.backends import once

STEPS = 100
LIMIT = 1e-10
ROWS, SIZE, CLASSES = 24, 8, 5


def define(nn: Any, F: ModuleType, torch: Any) -> dict[str, tuple[Callable[[], Any], tuple[int, ...]]]:
    """The bodies: name -> what makes the module, and the shape of a row of its input."""

    class UShaped(nn.Module):
        def __init__(self, d: int = SIZE) -> None:
            super().__init__()
            self.down1, self.down2 = nn.Linear(d, 16), nn.Linear(16, 6)
            self.up1, self.up2 = nn.Linear(6, 16), nn.Linear(32, d)
            self.out = nn.Linear(2 * d, CLASSES)

        def forward(self, x: Any) -> Any:
            a = F.relu(self.down1(x))
            b = torch.tanh(self.down2(a))
            c = torch.cat([a, F.relu(self.up1(b))], dim=1)
            return self.out(torch.cat([x, self.up2(c)], dim=-1))

    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.Sequential(nn.Linear(SIZE // 2, 12), nn.GELU(), nn.Linear(12, CLASSES * 3))
            self.right = nn.Sequential(nn.Linear(SIZE // 2, 12), nn.SiLU(), nn.Linear(12, 3))

        def forward(self, x: Any) -> Any:
            left, right = x.chunk(2, dim=1)
            u = self.left(left).view(-1, CLASSES, 3)
            return (u * self.right(right).unsqueeze(1)).sum(-1) / math.sqrt(3)

    class Experts(nn.Module):
        def __init__(self, experts: int = 3) -> None:
            super().__init__()
            self.gate = nn.Linear(SIZE, experts)
            self.experts = nn.ModuleList([nn.Linear(SIZE, CLASSES) for _ in range(experts)])

        def forward(self, x: Any) -> Any:
            weights = torch.softmax(self.gate(x), dim=-1)
            outputs = torch.stack([expert(x) for expert in self.experts], dim=1)
            return (weights[:, :, None] * outputs).sum(dim=1)

    class Dueling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(SIZE, 16), nn.ReLU())
            self.heads = nn.ModuleDict({"value": nn.Linear(16, 1), "advantage": nn.Linear(16, CLASSES)})

        def forward(self, x: Any) -> Any:
            h = self.body(x)
            a = self.heads["advantage"](h)
            return self.heads["value"](h) + a - a.mean(dim=1, keepdim=True)

    class MixerBlock(nn.Module):
        def __init__(self, tokens: int, channels: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
            self.tokens = nn.Sequential(nn.Linear(tokens, 7), nn.GELU(), nn.Linear(7, tokens))
            self.channels = nn.Sequential(nn.Linear(channels, 9), nn.GELU(), nn.Linear(9, channels))

        def forward(self, x: Any) -> Any:
            x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
            return x + self.channels(self.norm2(x))

    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.Sequential(MixerBlock(4, SIZE), MixerBlock(4, SIZE))
            self.head = nn.Linear(SIZE, CLASSES)

        def forward(self, x: Any) -> Any:
            return self.head(self.blocks(x).mean(dim=1))

    class Highway(nn.Module):
        def __init__(self, layers: int = 3) -> None:
            super().__init__()
            self.h = nn.ModuleList([nn.Linear(SIZE, SIZE) for _ in range(layers)])
            self.t = nn.ModuleList([nn.Linear(SIZE, SIZE) for _ in range(layers)])
            self.out = nn.Linear(SIZE, CLASSES)

        def forward(self, x: Any) -> Any:
            for h_layer, t_layer in zip(self.h, self.t, strict=True):
                h, t = torch.relu(h_layer(x)), torch.sigmoid(t_layer(x))
                x = t * h + (1 - t) * x
            return self.out(x)

    class FiLM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.shift = nn.Linear(3, 10), nn.Linear(3, 10)
            self.first, self.last = nn.Linear(SIZE - 3, 10), nn.Linear(10, CLASSES)

        def forward(self, x: Any) -> Any:
            condition, x = x.split([3, SIZE - 3], dim=1)
            h = (1 + self.scale(condition)) * self.first(x) + self.shift(condition)
            return self.last(F.relu(h))

    class TiedAutoencoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Linear(SIZE, CLASSES)

        def forward(self, x: Any) -> Any:
            code = torch.tanh(self.encoder(x))
            decoded = F.linear(code, self.encoder.weight.t())
            return code - 0.1 * ((decoded - x) ** 2).mean(dim=1, keepdim=True)

    class Ensemble(nn.Module):
        def __init__(self, members: int = 4) -> None:
            super().__init__()
            self.first = nn.Linear(SIZE, members * 6)
            self.members = members
            self.second = nn.Linear(6, members * CLASSES, bias=False)

        def forward(self, x: Any) -> Any:
            h = torch.relu(self.first(x)).view(-1, self.members, 6)
            w = self.second.weight.view(self.members, CLASSES, 6)
            return torch.einsum("bmi,moi->bmo", h, w).mean(dim=1)

    class Attention(nn.Module):
        def __init__(self, heads: int = 2) -> None:
            super().__init__()
            self.heads = heads
            self.qkv, self.out = nn.Linear(SIZE, 3 * SIZE), nn.Linear(SIZE, CLASSES)
            self.register_buffer("mask", torch.tril(torch.ones(4, 4)) == 0)

        def forward(self, x: Any) -> Any:
            b, t, c = x.shape
            q, k, v = self.qkv(x).split(c, dim=2)
            q = q.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            k = k.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            v = v.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(c // self.heads)
            scores = scores.masked_fill(self.mask[:t, :t], -1e9)
            y = torch.matmul(F.softmax(scores, dim=-1), v)
            return self.out(y.transpose(1, 2).contiguous().view(b, t, c)[:, -1])

    class Chooser(nn.Module):
        """Rows of a table, and elements, that the data choose."""

        def __init__(self) -> None:
            super().__init__()
            self.table, self.narrow = nn.Linear(5, SIZE, bias=False), nn.Linear(SIZE, 9)
            self.last = nn.Linear(5, CLASSES)

        def forward(self, x: Any) -> Any:
            h = self.narrow(x)
            # No row of `test_gradients` chooses 4, whose gradient is not that of the loss.
            rows = F.embedding(x.argmax(dim=1), self.table.weight, padding_idx=4)
            best = h.gather(1, h.argmax(dim=1, keepdim=True))
            pairs = torch.gather(h, 1, torch.stack([h, -h], dim=1).argmax(dim=2))
            chosen = h[:, [0, 2, -1, 0, 1]] + torch.index_select(h, 1, torch.arange(5))
            along = torch.take_along_dim(h.tanh(), torch.arange(2)[None], dim=1)
            return self.last(rows * best + chosen * pairs.sum(1, keepdim=True)) + along.sum(1)[:, None]

    class Everything(nn.Module):
        """Whatever the others leave out."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(SIZE, 12), nn.Linear(9, CLASSES)

        def forward(self, x: Any) -> Any:
            h = self.first(x)
            a, b, c = torch.split(h, 4, dim=1)
            a = torch.maximum(a, b).clamp(-1.5, 1.0) + (torch.minimum(b, c).abs() + 0.1).sqrt()
            b = torch.where(b > 0, b.exp().log1p(), -(b**2)) / (1 + c.sigmoid())
            c = torch.softmax(c, dim=0) * c.var(dim=1, keepdim=True) - c.max(dim=1, keepdim=True)[0]
            d = torch.logsumexp(h, dim=1, keepdim=True) + h.amax(dim=1, keepdim=True) * h[:, None, 3:5].sum(
                -1
            )
            d = d + 0.01 * h.argmax(dim=1, keepdim=True)
            return self.last(torch.cat([a * c, b, d], dim=1))

    class Pooled(nn.Module):
        """Every function of pooling, of images and of sequences."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv2d(2, 6, 3), nn.Linear(12, CLASSES)

        def forward(self, x: Any) -> Any:
            x = F.max_pool2d(F.relu(self.conv(x)), 2, 1, (1, 0), ceil_mode=True)
            x = F.avg_pool2d(x, (2, 1), padding=(1, 0), count_include_pad=False)
            x = F.adaptive_avg_pool2d(x, (3, None)) + F.adaptive_max_pool2d(x, 3).mean(-1, keepdim=True)
            x = F.avg_pool1d(x.flatten(2), 3, 1) - F.max_pool1d(x.flatten(2), 2, stride=1, dilation=2)
            x = torch.cat([F.adaptive_avg_pool1d(x, 1), F.adaptive_max_pool1d(x, 1)], dim=1)
            return self.out(x.flatten(1))

    class Causal(nn.Module):
        """Dilated convolutions of what was padded before, in each way of padding."""

        def __init__(self) -> None:
            super().__init__()
            self.filters = nn.ModuleList([nn.Conv1d(3, 3, 2, dilation=2**i) for i in range(3)])
            self.out = nn.Linear(3, CLASSES)

        def forward(self, x: Any) -> Any:
            for i, conv in enumerate(self.filters):
                x = x + torch.tanh(conv(F.pad(x, (2**i, 0))))
            x = F.pad(x[:, :, None], (-1, 2, 0, 1), value=0.5).flatten(2)
            x = F.pad(x, (2, 1), mode="reflect") + F.pad(x, (1, 2), mode="replicate") * F.pad(
                x, (3, 0), "circular"
            )
            return self.out(x.mean(-1))

    class Rearranged(nn.Module):
        """Elements in another order, several times, and what is taken along them."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(SIZE, 6), nn.Linear(12, CLASSES)

        def forward(self, x: Any) -> Any:
            h = self.first(x)
            a = torch.flip(h, (1,)) * torch.roll(h, 2, 1) + torch.cumsum(h, dim=-1)
            b = (
                h.repeat(1, 2, 3).view(-1, 2, 6, 3).prod(-1).sum(1)
                + torch.roll(h[:, None], (1, -2), (1, 2))[:, 0]
            )
            c = torch.repeat_interleave(h, 2, dim=1) / (
                1 + h.norm(dim=1, keepdim=True) + h.norm(1, dim=1)[:, None]
            )
            d = torch.norm(h - h.detach(), dim=-1, keepdim=True) + F.normalize(0 * h + torch.eye(6)[0])
            return self.last(torch.cat([a + b, d], dim=1) + c)

    class Squashed(nn.Module):
        """Activations that are expressions, a list of parameters, and constants."""

        def __init__(self) -> None:
            super().__init__()
            weights = [nn.Parameter(torch.linspace(-0.5, 1, SIZE)), nn.Parameter(torch.full((SIZE,), 0.3))]
            self.weights, self.narrow = nn.ParameterList(weights), nn.Linear(SIZE, CLASSES)

        def forward(self, x: Any) -> Any:
            start = x
            for weight in self.weights:
                x = start * (x @ weight)[:, None] + x
            h = 3 * self.narrow(x) + torch.zeros_like(x[:, :1]) + torch.tensor([0.5])
            h = F.hardtanh(h, -2, 2) + F.relu6(h) + F.selu(h)
            return h + F.logsigmoid(h) + F.mish(h) + F.softsign(h)

    class Patches(nn.Module):
        """Windows of images, diagonals, and sums of products."""

        def __init__(self) -> None:
            super().__init__()
            self.narrow, self.mix = nn.Linear(18, CLASSES), nn.Parameter(torch.linspace(-1, 1, CLASSES))

        def forward(self, x: Any) -> Any:
            h = self.narrow(F.unfold(x, (3, 3), (1, 2), (0, 1), 2).transpose(1, 2)).mean(1)
            spread = (h - h.mean(0)).T @ (h - h.mean(0))
            h = torch.addmm(h, h, torch.diag(self.mix) + torch.diag(self.mix[1:], -1), beta=0.5, alpha=2.0)
            return h + 0.01 * torch.diag(spread) + torch.diag(spread, 2).sum()

    return {
        "u-shaped": (UShaped, (SIZE,)),
        "two towers": (Towers, (SIZE,)),
        "mixture of experts": (Experts, (SIZE,)),
        "dueling": (Dueling, (SIZE,)),
        "mixer": (Mixer, (4, SIZE)),
        "highway": (Highway, (SIZE,)),
        "film": (FiLM, (SIZE,)),
        "tied autoencoder": (TiedAutoencoder, (SIZE,)),
        "ensemble": (Ensemble, (SIZE,)),
        "attention": (Attention, (4, SIZE)),
        "chooser": (Chooser, (SIZE,)),
        "everything": (Everything, (SIZE,)),
        "pooled": (Pooled, (2, 7, 6)),
        "causal": (Causal, (3, 9)),
        "rearranged": (Rearranged, (SIZE,)),
        "squashed": (Squashed, (SIZE,)),
        "patches": (Patches, (2, 6, 5)),
    }


OURS = define(bp.nn, backpass.nn.functional, bp)


def batches(shape: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(3)
    for _ in range(STEPS):
        yield rng.standard_normal((ROWS, *shape)), rng.integers(0, CLASSES, ROWS)


@pytest.mark.torch
@pytest.mark.parametrize("name", OURS)
def test_losses_are_those_of_torch(name: str, backend: Backend) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    ours, shape = OURS[name]
    theirs, _ = define(torch.nn, torch.nn.functional, torch)[name]
    model = bp.Model(ours(), "cross_entropy", optim.Adam(lr=3e-3), dtype="float64", backend="numpy", seed=1)
    model.backend = backend
    peer = theirs().double()
    state = {key: torch.from_numpy(np.array(value)) for key, value in model.state_dict().items()}
    assert {*state} == {*peer.state_dict()}
    peer.load_state_dict(state)
    optimizer = torch.optim.Adam(peer.parameters(), lr=3e-3)
    steps = 20 if backend.name == "numba" else STEPS  # Numba runs NumPy's reference of most of these ops
    for step, (x, y) in islice(enumerate(batches(shape)), steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(peer(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        assert model.step(x, y) == pytest.approx(loss.item(), rel=LIMIT), step
    x, _ = next(batches(shape))
    peer.eval()
    with torch.no_grad():
        np.testing.assert_allclose(model.predict(x), peer(torch.from_numpy(x)).numpy(), rtol=1e-8, atol=1e-8)


@once
@pytest.mark.parametrize("name", OURS)
def test_gradients(name: str) -> None:
    """By finite differences, on the fastest backend."""
    ours, shape = OURS[name]
    model = bp.Model(ours(), "cross_entropy", dtype="float64")
    x, y = next(batches(shape))
    assert bp.gradcheck(model, x[:6], y[:6]).worst_relative_error < 1e-6
