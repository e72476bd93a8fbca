"""A network of many kinds of layers, its data, and models on a given backend."""

import numpy as np

import backpass as bp
from backpass import nn
from backpass.backends import Backend

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 6)).astype(np.float32)
Y = RNG.standard_normal((48, 3)).astype(np.float32)
LABELS = RNG.integers(0, 3, 48)


def on(backend: Backend, model: bp.Model) -> bp.Model:
    model.backend = backend
    return model


def net() -> nn.Layer:
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.25), nn.Residual(nn.Linear(16, 16), nn.GELU()),
        nn.LayerNorm(16), nn.Linear(16, 3),
    )  # fmt: skip


def assert_same(a: bp.Model, b: bp.Model) -> None:
    for name, value in b.state_dict().items():
        assert np.array_equal(a.state_dict()[name], value), name


def shared_twice() -> nn.Layer:
    layer = nn.Linear(4, 4)
    return nn.Sequential(
        nn.Linear(6, 4), layer, nn.Tanh(), layer, nn.ReLU(), nn.Residual(layer), nn.Linear(4, 3)
    )
