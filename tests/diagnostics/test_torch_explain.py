"""bp.explain against torch.autograd: 20 random networks in float64, every number of every layer to 1e-10."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from helpers.torch_parity import torch_peer

pytestmark = pytest.mark.torch
ACTIVATIONS = ("Tanh", "ReLU", "Sigmoid", "GELU", "SiLU", "ELU", "Softplus", "LeakyReLU", "Identity")
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"lr": 0.01, "eps": 1e-3},
    "RMSprop": {"lr": 0.01, "eps": 1e-3},
}


def dense(nn: Any, chance: random.Random) -> Any:
    """Linear layers, normalisation and residual branches in any order."""
    layers, width = [], 5
    for _ in range(chance.randint(1, 4)):
        kind, last = chance.choice(["linear", "norm", "residual"]), width
        activation = getattr(nn, chance.choice(ACTIVATIONS))()
        if kind == "residual":
            layers.append(nn.Residual(nn.Sequential(nn.Linear(width, 4), activation, nn.Linear(4, width))))
        elif kind == "norm":
            layers += [nn.LayerNorm(width), activation]
        else:
            width = chance.randint(1, 7)
            layers += [nn.Linear(last, width, bias=chance.random() < 0.7), activation]
    return nn.Sequential(*layers, nn.Linear(width, 3))


def images(nn: Any, chance: random.Random) -> Any:
    channels = chance.randint(1, 4)
    return nn.Sequential(
        *(nn.Conv2d(2, channels, 3, padding=chance.randint(0, 1), bias=False), nn.BatchNorm2d(channels)),
        *(getattr(nn, chance.choice(ACTIVATIONS))(), nn.MaxPool2d(2), nn.Conv2d(channels, 2, 2), nn.Tanh(), nn.GlobalAvgPool()),
        *(nn.Flatten(), nn.Linear(2, 3)),
    )  # fmt: skip


def module(nn: Any, chance: random.Random) -> Any:
    """A forward with operators between the layers, one of which is called twice."""

    class Gated(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.gate, self.last = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)
            self.scale = chance.random()

        def forward(self, x: Any) -> Any:
            y = self.first(x).tanh() * self.gate(x).sigmoid() + self.scale * x
            return self.last(self.first(y))

    return Gated()


KINDS: list[tuple[Callable[..., Any], tuple[int, ...]]] = [(dense, (5,)), (images, (2, 6, 6)), (module, (5,))]


class Watched:
    """What torch.autograd has for the calls of each leaf of a network."""

    def __init__(self, net: Any) -> None:
        self.calls: dict[str, list[dict[str, Any]]] = {}
        for name, layer in net.named_modules():
            if not [*layer.children()]:
                layer.register_forward_hook(self._forward(name))
                layer.register_full_backward_hook(self._backward(name))

    def _forward(self, name: str) -> Any:
        def hook(layer: Any, taken: Any, y: Any) -> None:
            self.calls.setdefault(name, []).append({"input": taken[0], "output": y})

        return hook

    def _backward(self, name: str) -> Any:
        def hook(layer: Any, leaving: Any, arriving: Any) -> None:
            call = next(c for c in reversed(self.calls[name]) if "arriving" not in c)
            call |= {"leaving": leaving[0], "arriving": arriving[0]}

        return hook


def same(ours: np.ndarray, theirs: Any) -> bool:
    want = theirs.detach().numpy()
    return ours.shape == want.shape and np.abs(ours - want).max() <= 1e-10 * max(1.0, np.abs(want).max())


@pytest.mark.parametrize("seed", range(20))
def test_every_number_is_that_of_autograd(seed: int) -> None:
    torch, peer = pytest.importorskip("torch"), torch_peer()
    make, row = KINDS[seed % 3]
    chance, optimizer = random.Random(seed), [*OPTIMIZERS][seed % len(OPTIMIZERS)]
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((chance.randint(2, 6), *row)), rng.standard_normal((1, 3))
    y = np.repeat(y, len(x), 0)
    model = bp.Model(
        make(bp.nn, random.Random(seed)), "mse", getattr(bp.optim, optimizer)(**OPTIMIZERS[optimizer]),
        dtype="float64", seed=seed,
    )  # fmt: skip
    ours = bp.explain(model, x, y).to_dict()

    net = make(peer.nn, random.Random(seed)).to(torch.float64)
    net.load_state_dict({key: torch.tensor(array) for key, array in model.state_dict().items()})
    watched, given = Watched(net), torch.tensor(x, requires_grad=True)
    loss = torch.nn.functional.mse_loss(net(given), torch.tensor(y))
    theirs = getattr(torch.optim, optimizer)(net.parameters(), **OPTIMIZERS[optimizer])
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    loss.backward()
    theirs.step()

    assert same(ours["loss"]["output"][0], loss)
    assert same(ours["x"]["arriving"], given.grad)
    for name, calls in watched.calls.items():
        for number, call in enumerate([*calls]):
            found = ours[name if not number else f"{name}#{number + 1}"]
            for key, value in call.items():
                assert same(found[key], value), (name, key)
            if "slope" in found:
                z = call["input"].detach().requires_grad_()
                slope = torch.autograd.grad(dict(net.named_modules())[name](z).sum(), z)[0]
                assert same(found["slope"], slope), name
    for name, parameter in net.named_parameters():
        layer, _, key = name.rpartition(".")
        assert same(ours[layer][f"d{key}"], parameter.grad), name
        assert same(ours[layer][f"{key}_update"], before[name] - parameter.detach()), name
