"""The example that every textbook works by hand: one weight, half the squared error, one step of gradient descent."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend

X, Y = [[2.0]], [[1.0]]


@pytest.fixture(params=["float64", "float32"])
def model(request: pytest.FixtureRequest, backend: Backend) -> bp.Model:
    """ŷ = w x + b with w = 0.5, b = 0.1."""
    model = bp.Model(
        nn.Sequential(nn.Linear(1, 1)), nn.MSELoss(reduction="half"), optim.SGD(lr=0.1), dtype=request.param
    )
    model.backend = backend
    layer = model.net[0]
    layer.weight[...] = 0.5
    layer.bias[...] = 0.1
    return model


def near(value: Any, model: bp.Model) -> Any:
    """ŷ - y makes a rounding of ŷ 11 times as large, its square doubles that."""
    return pytest.approx(value, rel=32 * float(np.finfo(model.dtype).eps))


def check_step(model: bp.Model) -> None:
    """dL/dw = (ŷ - y) x = 0.2, dL/db = 0.1; w = 0.5 - 0.1 · 0.2 = 0.48, b = 0.1 - 0.1 · 0.1 = 0.09."""
    weight, bias = model.gradients()
    assert (weight.item(), bias.item()) == (near(0.2, model), near(0.1, model))
    assert model.net[0].weight.item() == near(0.48, model)
    assert model.net[0].bias.item() == near(0.09, model)


def test_step(model: bp.Model) -> None:
    assert model.predict(X).item() == near(1.1, model)
    assert model.evaluate(X, Y) == {"loss": near(0.005, model)}
    assert model.step(X, Y) == near(0.005, model)
    check_step(model)
    assert model.predict(X).item() == near(1.05, model)


def test_fit(model: bp.Model) -> None:
    assert model.fit(X, Y, epochs=1).history["loss"] == [near(0.005, model)]
    check_step(model)


def test_by_hand(model: bp.Model) -> None:
    """The same with one's own loss: the gradient ŷ - y goes in, its product with w comes out."""
    out = model.forward(X, training=True)
    assert out.item() == near(1.1, model)
    assert model.backward(out - np.array(Y, out.dtype)).item() == near(0.1 * 0.5, model)
    model.update()
    check_step(model)
