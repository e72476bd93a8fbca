"""Channels last: a tensor keeps the order of its memory from one op to the next, and nothing is copied between."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from backpass.program import InputSpec

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((6, 3, 5, 4)), rng.standard_normal((6, 2))


def define(nn: Any, F: Any) -> type[Any]:
    class Pointwise(nn.Module):  # type: ignore[misc, name-defined]
        """Convolutions of size 1 as linear layers on the channels, with activations, a residual branch and a scale between."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 8)
            self.gelu, self.out = nn.GELU(), nn.Linear(8, 2)

        def conv(self, layer: Any, x: Any) -> Any:
            return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

        def forward(self, x: Any) -> Any:
            x = F.relu(self.conv(self.first, x))
            y = self.gelu(self.conv(self.second, x) * 1.5)
            x = x + self.conv(self.third, y) * y
            return self.out(x.mean(dim=(2, 3)))

    return Pointwise


Pointwise = define(nn, nn.functional)


def test_nothing_is_copied_between() -> None:
    """The input comes with the channels first: that is the only copy of the forward pass, and the backward pass needs none."""
    model = bp.Model(Pointwise(), "mse", dtype="float64")
    plan = model.engine.plans.training((InputSpec("x", (6, 3, 5, 4), model.dtype),), ((2,), model.dtype))
    copies = {
        part: [
            i.fields["a"].shape
            for i in program
            if str(i.fields.get("steps")) == "y = copy a" and i.fields["a"].size > 100
        ]
        for part, program in plan.parts.items()
    }
    assert len(copies["forward"]) == 1
    assert len(copies["backward"]) <= 1, copies["backward"]


@pytest.mark.torch
def test_trains_as_in_torch(backend: Backend) -> None:
    torch = pytest.importorskip("torch")
    peer, ours = (
        define(torch.nn, torch.nn.functional)().double(),
        bp.Model(Pointwise(), "mse", optim.SGD(1e-2), dtype="float64"),
    )
    ours.backend = backend
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()})
    optimizer = torch.optim.SGD(peer.parameters(), 1e-2)
    for _ in range(20):
        loss = torch.nn.functional.mse_loss(peer(torch.from_numpy(X)), torch.from_numpy(Y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert ours.step(X, Y) == pytest.approx(loss.item(), rel=1e-10)
    assert bp.gradcheck(ours, X, Y).worst_relative_error < 1e-6


def test_dropout_keeps_the_order_and_its_share() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.scale = nn.Dropout(0.5), nn.Parameter(np.ones(1))

        def forward(self, x: Any) -> Any:
            return self.drop(x.permute(0, 2, 3, 1) * self.scale)

    model = bp.Model(Net(), lambda pred, y: (0.0, np.zeros_like(pred)), dtype="float64")
    out = model.forward(np.ones((50, 3, 5, 4)), training=True)
    assert {*np.unique(out)} == {0.0, 2.0}
    assert abs((out == 0).mean() - 0.5) < 0.05
    dx = model.backward(np.ones_like(out))
    assert np.array_equal(dx, out.transpose(0, 3, 1, 2))
