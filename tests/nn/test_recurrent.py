"""Recurrent layers: rows that end early, what is returned, first weights, and what they refuse."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from helpers.backends import BACKENDS, once


def refused(call: Any) -> str:
    """What it says."""
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    return str(caught.value)


KINDS = ("RNN", "LSTM", "GRU")
I, T = 3, 9


def model_of(
    kind: str, on: str = "numpy", dtype: str = "float32", hidden: int = 5, **options: Any
) -> bp.Model:
    net = nn.Sequential(
        getattr(nn, kind)(I, hidden, **options),
        nn.Linear(hidden * (1 + options.get("bidirectional", False)), 2),
    )
    model = bp.Model(net, "mse", optim.SGD(lr=0.05, momentum=0.9), dtype=dtype)
    # Where an instruction set is forced, it is the only backend.
    model.backend = BACKENDS[on] if on in BACKENDS else next(iter(BACKENDS.values()))
    return model


def rows(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((count, T, I)).astype(np.float32)
    return X, rng.integers(0, T + 1, count), rng.standard_normal((count, T, 2)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("on", [*BACKENDS])
@pytest.mark.parametrize("returns", ["sequence", "last"])
@pytest.mark.parametrize("hidden", [4, 17])
def test_a_row_is_what_it_is_alone(kind: str, on: str, returns: str, hidden: int) -> None:
    """With other rows, in other places of the batch, and without what stands behind its end."""
    model = model_of(kind, on, hidden=hidden, num_layers=2, bidirectional=True, returns=returns)
    X, lengths, _ = rows(21)
    lengths = np.maximum(lengths, 1)
    got = model.predict(X, lengths=lengths)
    for row, length in enumerate(lengths):
        alone = model.predict(X[row : row + 1, :length])
        there = got[row, :length] if returns == "sequence" else got[row]
        # The linear layer of the other backends is BLAS's.
        assert np.array_equal(there, alone[0]) if "native" in on else np.allclose(there, alone[0], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("on", [*BACKENDS])
@pytest.mark.parametrize("hidden", [3, 4, 8, 17])
def test_the_gradient_of_a_row_is_what_it_is_alone(kind: str, on: str, hidden: int) -> None:
    model = model_of(kind, on, hidden=hidden, num_layers=2, bidirectional=True)
    X, lengths, dout = rows(37)
    lengths = np.maximum(lengths, 1)
    model.forward(X, training=True, lengths=lengths)
    got = model.backward(dout)
    for row, length in enumerate(lengths):
        model.forward(X[row : row + 1, :length], training=True)
        alone = model.backward(dout[row : row + 1, :length])[0]
        there = got[row, :length]
        assert np.array_equal(there, alone) if "native" in on else np.allclose(there, alone, atol=1e-6)
        assert not got[row, length:].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("on", [*BACKENDS])
@pytest.mark.parametrize("poison", [1e30, np.nan])
def test_what_stands_behind_the_end_changes_nothing(kind: str, on: str, poison: float) -> None:
    clean, poisoned = (model_of(kind, on, num_layers=2, bidirectional=True) for _ in range(2))
    X, lengths, y = rows(13)
    lengths[:2] = 0, T
    bad = X.copy()
    bad[np.arange(T) >= lengths[:, None]] = poison
    if np.isnan(poison):  # fit and step refuse NaN in X: what is computed is judged without that check
        for model, x in ((clean, X), (poisoned, bad)):
            out = model.forward(np.where(np.isnan(x), 0, x) if model is clean else x, lengths=lengths)
            assert np.isfinite(out).all()
        assert np.array_equal(clean.forward(X, lengths=lengths), poisoned.forward(bad, lengths=lengths))
        return
    for _ in range(3):
        assert clean.step(X, y, lengths=lengths) == poisoned.step(bad, y, lengths=lengths)
    for one, other in zip(clean.parameters(), poisoned.parameters(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_of_all_steps_are_no_lengths(kind: str) -> None:
    plain, given = model_of(kind, "native" if "native" in BACKENDS else "numpy"), model_of(kind)
    given.backend = plain.backend
    X, _, y = rows(10)
    for _ in range(3):
        assert plain.step(X, y) == given.step(X, y, lengths=np.full(10, T))


def test_no_steps_at_all() -> None:
    for kind in KINDS:
        model = model_of(kind, returns="last")
        X, _, y = rows(4)
        bias = model.state_dict()["1.bias"]
        assert np.array_equal(model.predict(X, lengths=np.zeros(4, int)), np.tile(bias, (4, 1)))
        assert np.isfinite(model.step(X, y[:, 0], lengths=np.zeros(4, int)))


@pytest.mark.parametrize("kind", KINDS)
def test_last_is_the_last_state_of_each_direction(kind: str) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = getattr(nn, kind)(I, 4, 2, bidirectional=True)

        def forward(self, x: Any) -> Any:
            output, states = self.rnn(x)
            h_n = states[0] if isinstance(states, tuple) else states
            return output, bp.cat([h_n[-2], h_n[-1]], 1)

    both = bp.Model(Both(), ["mse", "mse"])
    last = bp.Model(nn.Sequential(getattr(nn, kind)(I, 4, 2, bidirectional=True, returns="last")), "mse")
    last.load_state_dict({key.replace("rnn", "0"): value for key, value in both.state_dict().items()})
    X, lengths, _ = rows(6)
    output, h_n = both.predict(X, lengths=lengths)
    assert np.array_equal(last.predict(X, lengths=lengths), h_n)
    for row, end in enumerate(lengths):
        if end:
            assert np.array_equal(h_n[row, :4], output[row, end - 1, :4])
            assert np.array_equal(h_n[row, 4:], output[row, 0, 4:])


@pytest.mark.parametrize("kind", KINDS)
def test_first_weights(kind: str) -> None:
    H = 64
    state = bp.Model(nn.Sequential(getattr(nn, kind)(I, H)), "mse").state_dict()
    for value in state.values():
        assert np.abs(value).max() <= 1 / np.sqrt(H)
        assert np.abs(value).max() > 0.9 / np.sqrt(H)
    orthogonal = bp.Model(nn.Sequential(getattr(nn, kind)(I, H, init="orthogonal")), "mse").state_dict()
    for gate in np.split(orthogonal["0.weight_hh_l0"], len(orthogonal["0.weight_hh_l0"]) // H):
        assert np.allclose(gate @ gate.T, np.eye(H), atol=1e-5)


def test_dropout_acts_between_layers_while_training() -> None:
    one = model_of("GRU", num_layers=2, dropout=0.5)
    X, _, _ = rows(8)
    assert np.array_equal(one.predict(X), one.predict(X))
    assert not np.array_equal(one.forward(X, training=True), one.forward(X))
    with pytest.warns(UserWarning, match="dropout is 0.5, but it acts between layers"):
        nn.GRU(I, 4, dropout=0.5)


def test_weights_within_forward_are_those_of_state_dict() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.conv = nn.LSTM(I, 4), nn.Conv1d(I, 4, 2)

        def forward(self, x: Any) -> Any:
            assert self.rnn.weight_ih_l0.shape == (16, I)
            assert self.conv.weight.shape == (4, I, 2)
            return (
                self.rnn(x)[0]
                + self.rnn.weight_ih_l0.sum()
                + self.conv.weight.sum()
                + self.conv(x.transpose(1, 2)).mean()
            )

    model = bp.Model(Net(), "mse")
    assert model.predict(np.zeros((2, T, I))).shape == (2, T, 4)


def test_gradients_of_a_network() -> None:
    for kind in KINDS:
        model = model_of(kind, dtype="float64", num_layers=2, bidirectional=True)
        X, _, y = rows(4)
        assert bp.gradcheck(model, X[:, :5], y[:, :5]).worst_relative_error <= 1e-6


REFUSED = [
    (lambda: nn.LSTM(0, 4), "LSTM: input_size is 0, expected an integer of at least 1"),
    (lambda: nn.GRU(3, -1), "GRU: hidden_size is -1"),
    (lambda: nn.RNN(3, 4, num_layers=0), "RNN: num_layers is 0"),
    (lambda: nn.RNN(3, 4, nonlinearity="gelu"), "RNN: nonlinearity is 'gelu'"),
    (lambda: nn.LSTM(3, 4, batch_first=False), "batch_first is False; rows of X come first"),
    (lambda: nn.LSTM(3, 4, dropout=2), "LSTM: dropout is 2"),
    (lambda: nn.LSTM(3, 4, returns="all"), "LSTM: returns is 'all'"),
    (lambda: nn.LSTM(3, 4, proj_size=2), "proj_size"),
    (lambda: nn.LSTM(3, 4, init="best"), "LSTM: init is 'best'"),
    (lambda: nn.LSTMCell(3, 0), "LSTMCell: hidden_size is 0"),
    (lambda: bp.Model(nn.Sequential(nn.LSTM(3, 4)), "mse").predict(np.zeros((2, 5))), "expected (batch, steps, 3)"),
    (lambda: bp.Model(nn.Sequential(nn.LSTM(3, 4)), "mse").predict(np.zeros((2, 5, 4))), "expected (batch, steps, 3)"),
    (lambda: bp.Model(nn.Sequential(nn.GRUCell(3, 4)), "mse").predict(np.zeros((2, 5, 3))), "expected (batch, 3)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refused(call: Any, message: str) -> None:
    assert message in refused(call)


@pytest.mark.parametrize("state", ["wrong shape", "one of two", "a short array", "a number"])
def test_states_are_checked(state: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(I, 4)

        def forward(self, x: Any) -> Any:
            h = x[:, 0, :1].expand(x.shape[0], 4).unsqueeze(0)
            given: dict[str, Any] = {
                "wrong shape": (h[:, :, :3], h), "one of two": (h,), "a short array": (np.zeros(3), h), "a number": (0.0, h),
            }  # fmt: skip
            return self.rnn(x, given[state])[0]

    message = {
        "wrong shape": "hx has shape (1, 3, 3), expected (1, 3, 4)",
        "one of two": "(h_0, c_0)",
        "a short array": "hx has shape (3,), expected (1, 3, 4)",
        "a number": "hx holds 0.0, expected a tensor of forward, or an array",
    }
    assert message[state] in refused(lambda: bp.Model(Net(), "mse").predict(np.zeros((2, T, I))))


@pytest.mark.parametrize("lengths", [[-1, 2], [2, T + 1], [1], [[1], [2]], [1.5, 2]])
def test_lengths_are_checked_before_a_step(lengths: Any) -> None:
    model = model_of("LSTM")
    X, _, y = rows(2)
    before = model.state_dict()
    assert "lengths" in refused(lambda: model.step(X, y, lengths=np.array(lengths)))
    assert all(np.array_equal(before[key], value) for key, value in model.state_dict().items())


STATES: dict[str, Any] = {
    "no state": lambda net, x: net.lstm(x)[0][:, -1],
    "the last layer": lambda net, x: net.lstm(x)[1][0][-1],
    "two layers": lambda net, x: bp.cat([net.lstm(x)[1][0][0], net.lstm(x)[1][1][-1]], 1)[:, :4],
    "unbound": lambda net, x: net.lstm(x)[1][0].unbind(0)[1],
    "of another": lambda net, x: net.lstm(x[:, :2], net.lstm(x)[1])[0][:, -1],
    "zeros": lambda net, x: net.lstm(x, (bp.zeros(2, x.size(0), 4), bp.ones(2, x.size(0), 4)))[0][:, 0],
    "cells": lambda net, x: net.cell(x[:, 0], (bp.zeros(x.size(0), 4), bp.zeros(x.size(0), 4)))[0],
    "a loop": lambda net, x: net.mix(net.mix(bp.zeros(x.size(0), 4)).tanh() + net.narrow(x[:, 1])),
}
TOGETHER: dict[str, Any] = {
    "all layers": lambda net, x: net.lstm(x)[1][0].permute(1, 0, 2).reshape(x.size(0), 8),
    "states that differ": lambda net, x: net.lstm(x, (np.arange(8.0 * len(x)).reshape(2, -1, 4),) * 2)[0][
        :, 0
    ],
}


def with_states(function: Any) -> bp.Model:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.cell = nn.LSTM(3, 4, num_layers=2), nn.LSTMCell(3, 4)
            self.mix, self.narrow = nn.Linear(4, 4), nn.Linear(3, 4)

        def forward(self, x: Any) -> Any:
            return function(self, x)

    return bp.Model(Network(), "mse", dtype="float64", seed=1)


@once
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*STATES, *TOGETHER])
def test_states_in_a_forward_keep_the_rows_apart(name: str) -> None:
    """Else a network cannot be trained by ranks, exported to C, or predict in passes."""
    model = with_states((STATES | TOGETHER)[name])
    x = np.random.default_rng(0).standard_normal((7, 5, 3))
    whole = model.predict(x)
    assert any(plan.whole_batch for plan in model.engine.plans.plans.values()) == (name in TOGETHER)
    if name in STATES:
        np.testing.assert_allclose(
            whole, np.concatenate([model.predict(x[i : i + 1]) for i in range(7)]), rtol=0, atol=1e-14
        )
