"""State of a user's own: buffers that `forward` writes, kept from batch to batch, saved and resumed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((24, 4)) + 2, rng.standard_normal((24, 4))


def define(nn: Any, buffer: Any) -> type[Any]:
    class Tracker(nn.Module):  # type: ignore[misc, name-defined]
        """Centres by a mean that it tracks."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.register_buffer("mean", buffer)

        def forward(self, x: Any) -> Any:
            if self.training:
                self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(dim=0)
            return self.linear(x - self.mean)

    return Tracker


Tracker = define(nn, np.zeros(4))


def model() -> bp.Model:
    return bp.Model(Tracker(), "mse", optim.SGD(1e-2), dtype="float64")


@pytest.mark.torch
def test_trains_as_in_torch(backend: Backend) -> None:
    torch = pytest.importorskip("torch")
    peer, ours = define(torch.nn, torch.zeros(4))().double(), model()
    ours.backend = backend
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()})
    optimizer = torch.optim.SGD(peer.parameters(), 1e-2)
    for step in range(20):
        rows = slice(8 * (step % 3), 8 * (step % 3) + 8)
        loss = torch.nn.functional.mse_loss(peer(torch.from_numpy(X[rows])), torch.from_numpy(Y[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert ours.step(X[rows], Y[rows]) == pytest.approx(loss.item(), rel=1e-10)
    peer.eval()
    assert ours.predict(X) == pytest.approx(peer(torch.from_numpy(X)).detach().numpy(), rel=1e-10)
    assert ours.state_dict()["mean"] == pytest.approx(peer.mean.numpy(), rel=1e-12)


def test_resumed_to_the_same_bits(tmp_path: Path) -> None:
    whole, cut, path = model(), model(), tmp_path / "model.safetensors"
    whole.fit(X, Y, epochs=4, batch_size=5, progress=False)
    cut.fit(X, Y, epochs=2, batch_size=5, progress=False)
    cut.save(path)
    again = bp.load(path, net=Tracker())
    again.fit(X, Y, epochs=2, batch_size=5, progress=False)
    assert {k: v.tobytes() for k, v in again.state_dict().items()} == {
        k: v.tobytes() for k, v in whole.state_dict().items()
    }


def test_a_step_that_does_not_count_keeps_the_state() -> None:
    ours = model()
    ours.step(X[:8], Y[:8])
    before = ours.state_dict()["mean"]
    with pytest.raises(bp.NonFiniteError):
        ours.step(X[:8], Y[:8] * np.where(np.arange(4) > 2, 1e200, 1))
    assert np.array_equal(before, ours.state_dict()["mean"])
    ours.predict(X)
    ours.evaluate(X, Y)
    assert np.array_equal(before, ours.state_dict()["mean"])


def test_what_is_read_after_it_was_written_is_the_new_one() -> None:
    class Decay(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.register_buffer("rate", np.ones(1))

        def forward(self, x: Any) -> Any:
            self.rate = self.rate * 0.5
            self.rate = self.rate * 0.5
            return self.linear(x) * 0 + self.rate

    ours = bp.Model(Decay(), "mse", dtype="float64")
    assert ours.predict(X)[0, 0] == 0.25
    for expected in (0.25, 0.0625):
        assert ours.forward(X, training=True)[0, 0] == expected
        assert ours.state_dict()["rate"][0] == expected


def test_what_cannot_be_written() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.register_buffer("n", 0)

        def forward(self, x: Any) -> Any:
            self.n = self.n + 1
            return self.linear(x)

    with pytest.raises(TypeError, match="n of Counts holds int64, expected a buffer of floats to write to"):
        bp.Model(Counts(), "mse").step(X, Y)


def define_lagging(nn: Any, zeros: Any) -> type[Any]:
    class Lagging(nn.Module):  # type: ignore[misc, name-defined]
        """Remembers the last two batches, one buffer as it was in the place of the other."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            for name in ("now", "before", "odd", "even"):
                self.register_buffer(name, zeros(4))
            self.register_buffer("weight", zeros((4, 4)))

        def forward(self, x: Any) -> Any:
            before = self.now
            self.now = x.detach().mean(dim=0)
            self.before = before
            self.odd, self.even = self.even, self.odd + 1
            self.weight = self.linear.weight.detach() * 1 if self.copies else self.linear.weight
            return self.linear(x + self.before)

        copies = False

    return Lagging


@pytest.mark.torch
def test_buffers_that_take_each_others_places(backend: Backend) -> None:
    """What was read counts, not what the array holds once it has been written; a weight is that before the update."""
    torch = pytest.importorskip("torch")
    peer = define_lagging(torch.nn, torch.zeros)().double()
    peer.copies = True
    ours = bp.Model(define_lagging(nn, np.zeros)(), "mse", optim.SGD(1e-2), dtype="float64")
    ours.backend = backend
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()})
    optimizer = torch.optim.SGD(peer.parameters(), 1e-2)
    for step in range(20):
        rows = slice(8 * (step % 3), 8 * (step % 3) + 8)
        loss = torch.nn.functional.mse_loss(peer(torch.from_numpy(X[rows])), torch.from_numpy(Y[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert ours.step(X[rows], Y[rows]) == pytest.approx(loss.item(), rel=1e-10)
        for key, value in peer.state_dict().items():
            assert ours.state_dict()[key] == pytest.approx(value.numpy(), rel=1e-10, abs=1e-14), key
