"""Recurrent layers behind an embedding: products of the table's rows, which are looked up, stand for those of all steps."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.program import InputSpec
from helpers.backends import BACKENDS

V, E, H, N, T = 7, 5, 17, 6, 9
IDS = np.random.default_rng(0).integers(0, V, (N, T))
TARGETS = np.random.default_rng(1).integers(0, V, (N, T))
LENGTHS = np.array([9, 0, 3, 9, 1, 5])


class Characters(nn.Module):
    """hidden: whether the layer does not see that its inputs are rows of a table."""

    def __init__(self, kind: str, hidden: bool = False, tied: bool = False, **options: Any) -> None:
        super().__init__()
        self.table = nn.Embedding(V, E, padding_idx=options.pop("padding_idx", None))
        self.layer = getattr(nn, kind)(E, H, **options)
        self.out = nn.Linear(H * (1 + self.layer.bidirectional), E if tied else V)
        self.hidden, self.tied = hidden, tied
        if tied:
            self.head = nn.Linear(E, V)
            self.head.weight = self.table.weight

    def forward(self, ids: Any) -> Any:
        x = self.table(ids)
        y = self.out(self.layer(x.reshape(*x.shape) if self.hidden else x)[0])
        return self.head(y) if self.tied else y


def model_of(net: nn.Module, on: str, dtype: str = "float64") -> bp.Model:
    model = bp.Model(net, "cross_entropy", optim.SGD(lr=0.1, momentum=0.9), dtype=dtype, seed=3)
    # Where an instruction set is forced, it is the only backend.
    model.backend = BACKENDS[on] if on in BACKENDS else next(iter(BACKENDS.values()))
    return model


def looks_up(model: bp.Model, ids: np.ndarray = IDS) -> bool:
    """Whether its program for training multiplies the table."""
    spec, target = InputSpec("ids", ids.shape, np.dtype(np.int64)), (ids.shape[1:], np.dtype(np.int64))
    plan = model.engine.plans.training((spec,), target)
    return any(call.fields.get("table") is not None for call in plan.forward)


@pytest.mark.parametrize("on", [*BACKENDS])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}], ids=str)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_training_is_that_of_the_looked_up_rows(kind: str, on: str, options: Any, lengths: Any) -> None:
    seen, hidden = (model_of(Characters(kind, hidden, **options), on) for hidden in (False, True))
    assert looks_up(seen)
    assert not looks_up(hidden)
    losses = [
        model.fit(IDS, TARGETS, epochs=3, batch_size=N, shuffle=False, lengths=lengths).history["loss"]
        for model in (seen, hidden)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-13)
    for name, value in hidden.state_dict().items():
        np.testing.assert_allclose(seen.state_dict()[name], value, rtol=1e-11, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_the_forward_pass_has_the_same_bits(kind: str) -> None:
    if "native" not in bp.available_backends():
        pytest.skip("a property of the native kernels")
    seen, hidden = (
        bp.Model(Characters(kind, way), "cross_entropy", backend="native") for way in (False, True)
    )
    assert looks_up(seen)
    want = hidden.forward(IDS, training=True)
    assert np.array_equal(seen.forward(IDS, training=True), want)
    assert np.array_equal(seen.predict(IDS), want)


def test_tied_tables_and_large_ones() -> None:
    seen, hidden = (model_of(Characters("LSTM", hidden, tied=True), "numpy") for hidden in (False, True))
    assert looks_up(seen)
    for model in (seen, hidden):
        model.fit(IDS, TARGETS, epochs=3, batch_size=N, shuffle=False)
    for name, value in hidden.state_dict().items():
        np.testing.assert_allclose(seen.state_dict()[name], value, rtol=1e-11, atol=1e-13, err_msg=name)
    # Products of 7 rows would be more than those of 9 steps; row 0 has no gradient.
    assert not looks_up(model_of(Characters("LSTM"), "numpy"), IDS[:1])
    assert not looks_up(model_of(Characters("LSTM", padding_idx=0), "numpy"))


def test_gradients(backend: Any) -> None:
    model = model_of(Characters("GRU"), "numpy")
    model.backend = backend
    found = bp.gradcheck(model, IDS, TARGETS)
    assert found.worst_relative_error < 1e-5
