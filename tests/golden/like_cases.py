"""Runs with the conventions of another library, `bp.Model(like=...)`: 100 steps, after half of them a lower learning rate.

`test_like.py` holds them against what `make_like.py` has recorded with PyTorch, Keras and scikit-learn.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import backpass as bp
from backpass.backends import Backend
from golden.cases import CLASSES, Case, batches, model_of, mse, uniform

TRAJECTORIES = Path(__file__).parent / "like.json"
KERAS_FILE = Path(__file__).parent / "model.keras"
# Of the losses one in so many is recorded.
EVERY = 5
# What the learning rate is multiplied by after half of the steps.
SLOWER = 0.25


class Like(NamedTuple):
    """A library, and a run with no setting that is not in `case.hyper`."""

    library: str
    case: Case


def normalised(nn: Any) -> Any:
    return nn.Sequential(
        nn.Linear(6, 12, bias=False),
        nn.BatchNorm1d(12),
        nn.Tanh(),
        nn.Linear(12, 8),
        nn.LayerNorm(8),
        nn.Linear(8, 4),
    )


def perceptron(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))


MOMENTUM = {"momentum": 0.9}
CASES = {
    **{
        f"{library}, {name}": Like(library, Case(normalised, mse, name, hyper))
        for library in ("torch", "keras")
        for name, hyper in (
            ("SGD", MOMENTUM), ("Adam", {}), ("RMSprop", {"momentum": 0.5, "centered": True}), ("AdamW", {}), ("Adagrad", {}),
        )
    },
    "sklearn, SGD": Like("sklearn", Case(perceptron, **CLASSES, optimizer="SGD")),
    "sklearn, SGD without Nesterov": Like(
        "sklearn", Case(perceptron, **CLASSES, optimizer="SGD", hyper={"momentum": 0.5, "nesterov": False})
    ),
    "sklearn, SGD without momentum": Like(
        "sklearn", Case(perceptron, **CLASSES, optimizer="SGD", hyper={"lr": 0.1, "momentum": 0.0})
    ),
    "sklearn, Adam": Like("sklearn", Case(perceptron, **CLASSES, optimizer="Adam")),
}  # fmt: skip


def model_like(like: Like, backend: Backend) -> bp.Model:
    """A model at the start of a run."""
    return model_of(like.case, backend, "float64", like.library)


def keras_rows() -> np.ndarray:
    """Rows for the network of model.keras, images (N, H, W, C)."""
    return uniform((4, 6, 5, 2), 0).astype(np.float32)


def steps(like: Like) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """What the learning rate is multiplied by before a step, and its batch."""
    for number, (x, y) in enumerate(batches(like.case, "float64")):
        yield SLOWER if number == like.case.steps // 2 else 1.0, x, y
