"""Child processes: what they need to import backpass and the tests' own modules, and a training that each can repeat."""

import os
import sys
from pathlib import Path

import numpy as np

import backpass as bp
from backpass import nn, optim

TESTS = Path(__file__).resolve().parents[1]
LONG = TESTS / "long"
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(TESTS)])}

X = np.random.default_rng(0).standard_normal((600, 20)).astype(np.float32)
Y = np.arange(600) % 3


def train(seed: int, backend: str = "auto", threads: int | None = 2, epochs: int = 2) -> bytes:
    """The bytes of a trained network; wide enough that the thread pool has something to do (kWorthSeconds)."""
    net = nn.Sequential(
        nn.Linear(20, 256),
        nn.BatchNorm1d(256),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(256, 256),
        nn.Linear(256, 3),
    )
    model = bp.Model(net, "cross_entropy", optim.Adam(), seed=seed, backend=backend, threads=threads)
    model.fit(X, Y, epochs=epochs, batch_size=200)
    return b"".join(array.tobytes() for array in model.state_dict().values())
