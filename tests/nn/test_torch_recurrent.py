"""Live parity with PyTorch: recurrent layers and cells with every option; rows that end early are packed sequences there."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional
from backpass import nn, optim
from golden.cases import Case, mse
from helpers.backends import BACKENDS
from helpers.torch_parity import check_trajectory, runs

pytestmark = pytest.mark.torch

I, H, T = 3, 5, 7


def network(kind: str, read: str = "sequence", **options: Any) -> Any:
    """What makes a recurrent layer with a linear one behind it; read: what that reads, the outputs or the last states."""

    def make(nn: Any) -> Any:
        class Net(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.rnn = getattr(nn, kind)(I, H, batch_first=True, **options)
                directions = 1 + options.get("bidirectional", False)
                self.out = nn.Linear(H * (1 if read == "states" else directions), 4)
                self.first = nn.Linear(I, H)

            def forward(self, x: Any) -> Any:
                count = self.rnn.num_layers * (1 + self.rnn.bidirectional)
                if read != "first":
                    y, states = self.rnn(x)
                else:
                    h = self.first(x[:, 0]).tanh().unsqueeze(0).expand(count, x.shape[0], H)
                    y, states = self.rnn(x, (h, 0.5 * h) if kind == "LSTM" else h)
                if read == "sequence":
                    return self.out(y) + self.first(x[:, :, :]).sum(-1, keepdim=True)
                if kind == "LSTM":
                    h_n, c_n = states
                    states = h_n + 0.3 * c_n
                last = self.out(states[-1] + states[0]) if read == "states" else self.out(y[:, -1])
                return last + self.first(x[:, 1]).sum(-1, keepdim=True)

        return Net()

    return make


def case(kind: str, read: str = "sequence", **options: Any) -> Case:
    return Case(
        network(kind, read, **options),
        mse,
        "SGD",
        {"lr": 0.05, "momentum": 0.9},
        shape=(T, I),
        target_shape=(T, 4) if read == "sequence" else (4,),
    )


def cells(kind: str, **options: Any) -> Case:
    """A cell in a loop of `forward`."""

    def make(nn: Any) -> Any:
        class Net(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.cell = getattr(nn, kind)(I, H, **options)
                self.out = nn.Linear(H, 4)

            def forward(self, x: Any) -> Any:
                state = self.cell(x[:, 0])
                for t in range(1, 4):
                    state = self.cell(x[:, t], state)
                h = state[0] * state[1] if kind == "LSTMCell" else state
                return self.out(h)

        return Net()

    return Case(make, mse, "SGD", {"lr": 0.05, "momentum": 0.9}, shape=(T, I))


CASES = {
    **{f"{kind}": case(kind) for kind in ("RNN", "LSTM", "GRU")},
    **{f"{kind}, states": case(kind, "states", num_layers=2) for kind in ("RNN", "LSTM", "GRU")},
    **{
        f"{kind}, two layers, two directions": case(kind, num_layers=2, bidirectional=True)
        for kind in ("RNN", "LSTM", "GRU")
    },
    **{
        f"{kind}, first states": case(kind, "first", num_layers=2, bidirectional=True)
        for kind in ("RNN", "LSTM", "GRU")
    },
    **{f"{kind}, no bias": case(kind, bias=False) for kind in ("RNN", "LSTM", "GRU")},
    "RNN, relu": case("RNN", nonlinearity="relu"),
    "RNNCell": cells("RNNCell"),
    "RNNCell, relu, no bias": cells("RNNCell", bias=False, nonlinearity="relu"),
    "LSTMCell": cells("LSTMCell"),
    "GRUCell": cells("GRUCell"),
    "adam": Case(network("LSTM"), mse, "Adam", {"lr": 0.01}, shape=(T, I), target_shape=(T, 4)),
}
CORE = ("RNN", "LSTM, two layers, two directions", "GRU, first states", "LSTM, first states")


@pytest.mark.parametrize(("name", "on", "dtype"), runs(CASES, CORE))
def test_trajectory(name: str, on: str, dtype: str, record_property: Any) -> None:
    check_trajectory(CASES[name], BACKENDS[on], dtype, record_property)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("on", [*BACKENDS])
def test_rows_that_end_early_are_packed_sequences_of_torch(kind: str, on: str) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    rng = np.random.default_rng(0)
    X, lengths = rng.standard_normal((6, T, I)), np.array([3, 7, 1, 5, 7, 2])
    y = rng.standard_normal((6, 4))
    theirs = torch.nn.ModuleList(
        [
            getattr(torch.nn, kind)(I, H, 2, batch_first=True, bidirectional=True),
            torch.nn.Linear(2 * H, 4),
        ]
    ).double()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.out = getattr(nn, kind)(I, H, 2, bidirectional=True), nn.Linear(2 * H, 4)

        def forward(self, x: Any) -> Any:
            output, states = self.rnn(x)
            h_n = states[0] if kind == "LSTM" else states
            return self.out(output.sum(1) + bp.cat([h_n[-2], h_n[-1]], 1))

    model = bp.Model(Net(), "mse", optim.SGD(lr=0.02, momentum=0.9), dtype="float64")
    model.backend = BACKENDS[on]
    ours = dict(zip(model.state_dict(), theirs.state_dict().values(), strict=True))
    model.load_state_dict(ours)
    optimizer = torch.optim.SGD(theirs.parameters(), 0.02, 0.9)
    for _ in range(20):
        packed = pack(torch.from_numpy(X), torch.from_numpy(lengths), batch_first=True, enforce_sorted=False)
        output, states = theirs[0](packed)
        h_n = states[0] if kind == "LSTM" else states
        pred = theirs[1](pad(output, batch_first=True)[0].sum(1) + torch.cat([h_n[-2], h_n[-1]], 1))
        loss = torch.nn.functional.mse_loss(pred, torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert model.step(X, y, lengths=lengths) == pytest.approx(loss.item(), rel=1e-10)
