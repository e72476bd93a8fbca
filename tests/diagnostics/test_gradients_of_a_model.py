"""bp.gradients: of parameters and of what layers give, against the model's own step and difference quotients."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import LABELS, X, digest, net, on, shared_twice


def test_those_of_the_parameters_are_those_of_a_step(backend: Backend) -> None:
    """Every op keeps its buffers, and the bits are the same."""
    model = on(backend, bp.Model(net(), "cross_entropy", optim.Adam(clip_grad_norm=0.01)))
    model.step(X, LABELS)
    before = digest(model)
    found = bp.gradients(model, X, LABELS)
    assert digest(model) == before
    plain = on(backend, bp.Model(net(), "cross_entropy", optim.Adam()))
    plain.step(X, LABELS)
    plain.load_state_dict(model.state_dict())
    plain.step(X, LABELS)
    assert [*found] == [name for name, _ in plain.named_parameters()]
    for one, gradient in zip(plain.gradients(), found.values(), strict=True):
        assert np.array_equal(one, gradient)


def test_those_of_outputs_are_difference_quotients() -> None:
    """A constant is added to what a layer gives."""

    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.branch, self.last = (
                nn.Linear(6, 4),
                nn.Residual(nn.Linear(4, 4), nn.Tanh()),
                nn.Linear(4, 3),
            )
            self.register_buffer("shift", np.zeros((1, 4)))

        def forward(self, x: Any) -> Any:
            return self.last(self.branch(self.first(x).tanh()) + self.shift)

    model = bp.Model(Shifted(), "cross_entropy", dtype="float64")
    found = bp.gradients(model, X[:1], LABELS[:1], of="outputs", layer="branch")["branch"]
    for unit in range(4):
        losses = []
        for shift in (1e-6, -1e-6):
            model.net.shift[:] = 0
            model.net.shift[0, unit] = shift
            losses.append(model.evaluate(X[:1], LABELS[:1])["loss"])
        assert found[0, unit] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-8)


def test_names() -> None:
    model = bp.Model(net(), "cross_entropy")
    outputs = bp.gradients(model, X, LABELS, of="outputs")
    assert [*outputs] == ["0", "1", "2", "3", "4.inner.0", "4.inner.1", "5", "6"]
    assert {n: a.shape for n, a in outputs.items()} == {
        n: a.shape for n, a in bp.activations(model, X).items()
    }
    assert [*bp.gradients(model, X, LABELS, layer="4")] == ["4.inner.0.weight", "4.inner.0.bias"]
    assert [*bp.gradients(model, X, LABELS, layer=["", "6"], of="outputs")] == ["6", ""]
    shared = bp.gradients(bp.Model(shared_twice(), "cross_entropy"), X, LABELS, layer="5.inner")
    assert [*shared] == ["1.weight", "1.bias"]


def test_frozen_parameters_and_losses_of_your_own() -> None:
    model = bp.Model(net(), lambda pred, y: (float((pred**2).sum() / 2), pred), dtype="float64")
    model.net[0].requires_grad_(False)
    found = bp.gradients(model, X, LABELS)
    assert not found["0.weight"].any()
    out = bp.gradients(model, X, LABELS, layer="", of="outputs")[""]
    assert np.allclose(out, model.forward(X, training=True), atol=1e-12)


def test_refusals() -> None:
    model = bp.Model(net(), "cross_entropy")
    with pytest.raises(ValueError, match=r"layer is '4.iner', .*did you mean '4.inner"):
        bp.gradients(model, X, LABELS, "4.iner")
    with pytest.raises(TypeError, match="layer is 4, expected the name"):
        bp.gradients(model, X, LABELS, 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="of is 'inputs', expected 'parameters' or 'outputs'"):
        bp.gradients(model, X, LABELS, of="inputs")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="X does not fit the network"):
        bp.gradients(model, X[:, :5], LABELS)
