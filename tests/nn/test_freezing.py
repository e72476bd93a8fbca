"""Frozen parameters: no gradient, no update, and all others as PyTorch trains them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((24, 5)), rng.integers(0, 3, 24)


def network(nn: object) -> object:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))  # type: ignore[attr-defined]


@pytest.mark.torch
@pytest.mark.parametrize("frozen", [[0], [2], [4], [0, 2], [0, 4]], ids=str)
def test_the_others_train_as_in_torch(frozen: list[int], backend: Backend) -> None:
    """AdamW moves weights without a gradient, too: of frozen ones it must not. Freezing acts at once, and back."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    net, peer = network(nn), network(torch.nn).double()
    model = bp.Model(net, "cross_entropy", optim.AdamW(lr=1e-2), dtype="float64", backend="numpy")
    model.backend = backend
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in model.state_dict().items()})
    optimizer = torch.optim.AdamW(peer.parameters(), lr=1e-2)
    for step in range(8):
        if step == 4:
            for number in frozen:
                net[number].requires_grad_(False)
                peer[number].requires_grad_(False)
            before = model.state_dict()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(peer(torch.from_numpy(X)), torch.from_numpy(Y))
        loss.backward()
        optimizer.step()
        assert model.step(X, Y) == pytest.approx(loss.item(), rel=1e-10), step
    for key, value in model.state_dict().items():
        assert (int(key[0]) in frozen) == np.array_equal(value, before[key]), key
    net.requires_grad_(True)
    model.step(X, Y)
    assert not any(np.array_equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_saved_model_stays_frozen(tmp_path: Path) -> None:
    model = bp.Model(network(nn), "cross_entropy")
    model.fit(X, Y, epochs=2, progress=False)
    model.net[2].requires_grad_(False)  # with moments that would move it on
    model.save(tmp_path / "model.safetensors")
    for net in (None, network(nn)):
        loaded = bp.load(tmp_path / "model.safetensors", net=net)
        before = loaded.state_dict()
        loaded.fit(X, Y, epochs=1, progress=False)
        for key, value in loaded.state_dict().items():
            assert (key[0] == "2") == np.array_equal(value, before[key]), key


def test_all_frozen_and_a_frozen_bias(backend: Backend) -> None:
    model = bp.Model(network(nn), "cross_entropy", backend="numpy")
    model.backend = backend
    model.net.requires_grad_(False)
    before = model.state_dict()
    model.fit(X, Y, epochs=2, progress=False)
    assert all(np.array_equal(before[key], value) for key, value in model.state_dict().items())
    model.net.apply(lambda module: module.requires_grad_(True) if isinstance(module, nn.Linear) else None)
    model.fit(X, Y, epochs=1, progress=False)
    assert not np.array_equal(before["0.weight"], model.state_dict()["0.weight"])
    assert [g.shape for g in model.gradients()] == [p.shape for p in model.parameters()]


def test_a_parameter_is_frozen_alone() -> None:
    """As PyTorch's loop over `parameters()` does it, before a model and after."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.body(x))

    x, y = np.ones((6, 4)), np.ones((6, 1))
    model = bp.Model(Net(), "mse")
    for frozen in (True, False, True):
        for parameter in model.net.body.parameters():
            parameter.requires_grad = not frozen
        before = model.state_dict()
        model.step(x, y)
        after = model.state_dict()
        assert np.array_equal(before["body.weight"], after["body.weight"]) == frozen
        assert not np.array_equal(before["head.weight"], after["head.weight"])
    with pytest.raises(TypeError, match="requires_grad is 'no'"):
        next(model.net.parameters()).requires_grad = "no"
