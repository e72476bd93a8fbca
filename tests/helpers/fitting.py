"""Small models and data for the tests of fit."""

import hashlib
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn
from backpass.data.feed import Feed
from backpass.data.inputs import Inputs
from backpass.data.order import Order
from backpass.training.loops import EpochLoop

RNG = np.random.default_rng(0)

X = RNG.standard_normal((70, 6)).astype(np.float32)

Y = RNG.standard_normal((70, 2)).astype(np.float32)

LABELS = RNG.integers(0, 3, 70)


def small(loss: Any = "mse", outputs: int = 2, **arguments: Any) -> bp.Model:
    return bp.Model(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs)), loss, **arguments)


def with_everything(width: int = 64) -> nn.Layer:
    return nn.Sequential(
        nn.Linear(6, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.3),
        nn.Residual(nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width), nn.Dropout(0.2)), nn.Linear(width, 3),
    )  # fmt: skip


def digest(model: bp.Model) -> str:
    parts = [v.tobytes() for v in model.state_dict().values()] + [
        v.tobytes() for v in model.engine.optimizer_state.values()
    ]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def same_weights(a: bp.Model, b: bp.Model) -> bool:
    return all(np.array_equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def step_of_a_run(model: bp.Model, X: np.ndarray, y: np.ndarray, size: int) -> Any:
    """The compiled program of the training step of a run without shuffling."""
    feed = Feed.of(Inputs({"x": X}, {"x": "number"}), y)
    order = Order(model.backend, model.seed, feed.index, False)
    return EpochLoop(model.engine, feed, size, order, len(X)).programs[size][0]
