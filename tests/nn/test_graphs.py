"""Networks that are no chain: gradients against finite differences, layers used more than once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from backpass.ops import add
from helpers.differences import check_gradients
from helpers.nets import X, Y, on, shared_twice


def test_input_gradient(backend: Backend) -> None:
    model = on(
        backend,
        bp.Model(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Residual(nn.Linear(5, 5))), dtype="float64"),
    )
    x, r = X[:4].astype(np.float64), np.random.default_rng(1).standard_normal((4, 5))
    model.forward(x, training=True)
    dx = model.backward(r)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-6
        quotient = ((model.predict(x + step) - model.predict(x - step)) * r).sum() / 2e-6
        assert abs(dx[i] - quotient) < 1e-7


class Diamond(nn.Module):
    """x -> a(x) + b(x) · both again: one tensor read by three, a parameter used in two branches."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def named_children(self) -> Any:
        return iter([("a", self.a), ("b", self.b)])

    def emit(self, builder: Any, x: Any) -> Any:
        left = nn.ReLU().emit(builder, self.a.emit(builder, x))
        right = nn.GELU().emit(builder, self.b.emit(builder, x))
        both = builder.emit(add, a=left, b=right)
        return builder.emit(add, a=builder.emit(add, a=both, b=both), b=self.a.emit(builder, left))


GRAPHS: dict[str, Callable[[], nn.Module]] = {
    "one layer used three times": shared_twice,
    "residual in residual": lambda: nn.Residual(
        nn.Linear(6, 6), nn.Tanh(), nn.Residual(nn.Residual(nn.LayerNorm(6)), nn.Linear(6, 6))
    ),
    "residual of nothing": lambda: nn.Sequential(nn.Residual(nn.Identity()), nn.Linear(6, 3)),
    "residual around an activation": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.Residual(nn.ReLU()), nn.Residual(nn.GELU()), nn.Linear(5, 3)
    ),
    "activation after a residual": lambda: nn.Sequential(
        nn.Residual(nn.Linear(6, 6)), nn.ReLU(), nn.Linear(6, 3)
    ),
    "two activations": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.Tanh(), nn.SiLU(), nn.ReLU(), nn.Linear(5, 3)
    ),
    "one activation object twice": lambda: (
        lambda act: nn.Sequential(nn.Linear(6, 5), act, nn.Linear(5, 5), act, nn.Linear(5, 3))
    )(nn.Tanh()),
    "starts with an activation": lambda: nn.Sequential(nn.Tanh(), nn.Linear(6, 3)),
    "ends with an activation": lambda: nn.Sequential(nn.Linear(6, 3), nn.Tanh()),
    "ends with softmax": lambda: nn.Sequential(nn.Linear(6, 3), nn.Softmax()),
    "diamond": Diamond,
    "dropout, norms": lambda: nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.LayerNorm(8), nn.Linear(8, 3)
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_gradients_of_graphs(backend: Backend, name: str) -> None:
    model = on(backend, bp.Model(GRAPHS[name](), dtype="float64"))
    check_gradients(model, {"x": np.random.default_rng(0).standard_normal((5, 6))})


def test_a_shared_layer_has_one_weight() -> None:
    model = bp.Model(shared_twice(), "mse")
    state = model.state_dict()
    assert np.array_equal(state["1.weight"], state["3.weight"])
    assert np.array_equal(state["1.weight"], state["5.inner.weight"])
    names = [name for name, _ in model.named_parameters()]
    assert names == ["0.weight", "0.bias", "1.weight", "1.bias", "6.weight", "6.bias"], (
        "PyTorch names a shared parameter once"
    )
    model.fit(X, Y, epochs=2)
    assert np.array_equal(model.state_dict()["1.weight"], model.state_dict()["3.weight"])
    assert np.shares_memory(model.net[1].weight, model.net[3].weight)
