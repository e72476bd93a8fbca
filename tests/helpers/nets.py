"""Small nets, their data, models made of them, and when two models are the same: what the tests of training share."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from backpass.data.feed import Feed
from backpass.data.inputs import Inputs
from backpass.data.order import Order
from backpass.training.loops import EpochLoop

# 70 rows: batches of 16 leave a partial one, batches of 14 do not.
RNG = np.random.default_rng(0)
X = RNG.standard_normal((70, 6)).astype(np.float32)
Y = RNG.standard_normal((70, 3)).astype(np.float32)
LABELS = RNG.integers(0, 3, 70)
LABELS[:3] = 0, 1, 2


class Calls(nn.Module):
    """A function of one tensor as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Any) -> Any:
        return self._function(x)


def on(backend: Backend, model: bp.Model) -> bp.Model:
    model.backend = backend
    return model


def small(loss: Any = "mse", outputs: int = 3, **arguments: Any) -> bp.Model:
    last = [nn.LogSoftmax()] if loss == "nll" else []
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs), *last)
    return bp.Model(net, loss, **arguments)


def net() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.25), nn.Residual(nn.Linear(16, 16), nn.GELU()),
        nn.LayerNorm(16), nn.Linear(16, 3),
    )  # fmt: skip


def with_everything(width: int = 64) -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.3),
        nn.Residual(nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width), nn.Dropout(0.2)), nn.Linear(width, 3),
    )  # fmt: skip


def shared_twice() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(
        nn.Linear(6, 4), layer, nn.Tanh(), layer, nn.ReLU(), nn.Residual(layer), nn.Linear(4, 3)
    )


def digest(model: bp.Model) -> str:
    parts = [v.tobytes() for v in model.state_dict().values()] + [
        v.tobytes() for v in model.engine.optimizer_state.values()
    ]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def same_weights(a: bp.Model, b: bp.Model) -> bool:
    return all(np.array_equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def assert_same(a: bp.Model, b: bp.Model) -> None:
    for name, value in b.state_dict().items():
        assert np.array_equal(a.state_dict()[name], value), name


def step_of_a_run(model: bp.Model, X: np.ndarray, y: np.ndarray, size: int) -> Any:
    """The compiled program of the training step of a run without shuffling."""
    feed = Feed.of(Inputs({"x": X}, {"x": "number"}), y)
    order = Order(model.backend, model.seed, feed.index, False)
    return EpochLoop(model.engine, feed, size, order, len(X)).programs[size][0]
