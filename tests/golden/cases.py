"""Training runs that backpass and PyTorch can both do, described once: the networks in the API that the two share.

`tests/*/test_torch_*.py` hold them against a live PyTorch, `test_golden.py` against trajectories that `make.py` has recorded.
Data and initial weights come from the raw words of Philox, which NumPy promises never to change.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass import optim
from backpass.backends import Backend

TRAJECTORIES = Path(__file__).parent / "trajectories.json"
BATCHES = (16, 17, 9)  # rows of the batches, taken in turn: a model has to serve several shapes
TARGETS = {  # from uniform values in [-1, 1)
    "real": lambda u: u,
    "classes": lambda u: np.floor(2 * (u + 1)).astype(np.int64),  # 0 to 3
    "ignored": lambda u: np.where(u > 0.5, -100, np.floor(2 * (u + 1))).astype(np.int64),  # 0 to 2, and -100
    "share": lambda u: (u + 1) / 2,
    "probabilities": lambda u: (u + 1.001) / (u + 1.001).sum(axis=-1, keepdims=True),
    "binary": lambda u: (u > 0) * 1.0,
    "sign": lambda u: np.where(u > 0, 1.0, -1.0),
    "count": lambda u: np.floor(2 * (u + 1)),
}


@dataclass(frozen=True, eq=False)  # a key by identity: its dicts have no hash
class Case:
    """One run. `net` and `loss` take a namespace: backpass.nn, or torch_peer.nn, which is torch.nn and a bit more."""

    net: Callable[[Any], Any]
    loss: Callable[[Any], Any]
    optimizer: str = "SGD"
    hyper: dict[str, Any] = field(default_factory=dict)  # arguments that both optimizers know
    clip: dict[str, float] = field(default_factory=dict)  # clip_grad_norm, clip_grad_value
    schedule: tuple[str, dict[str, Any]] | None = None
    shape: tuple[int, ...] = (6,)  # of one row of X
    target: str = "real"
    target_shape: tuple[int, ...] = (4,)  # of one row of y
    indices: int = 0  # X holds integers below this instead of numbers
    steps: int = 100


def uniform(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Values in [-1, 1), the same in every version of NumPy."""
    words = np.random.Philox(key=seed).random_raw(prod(shape))
    return ((words >> np.uint64(11)) * 2.0**-52 - 1).reshape(shape)


def rows(case: Case, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a case, X and y."""
    x = 1.5 * uniform((sum(BATCHES), *case.shape), 1)
    y = TARGETS[case.target](uniform((sum(BATCHES), *case.target_shape), 2))
    if case.indices:
        x = np.floor((x / 1.5 + 1) / 2 * case.indices).astype(np.int64)
    return x if case.indices else x.astype(dtype), y if y.dtype == np.int64 else y.astype(dtype)


def batches(case: Case, dtype: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of the steps of a case."""
    x, y = rows(case, dtype)
    stops = np.cumsum(BATCHES)
    for step in range(case.steps):
        stop = stops[step % len(BATCHES)]
        part = slice(stop - BATCHES[step % len(BATCHES)], stop)
        yield x[part], y[part]


def start(model: bp.Model) -> None:
    """Give every parameter its first value: matrices U(±1/√columns), vectors U(±1/2) around 1 (weight) or 0 (bias)."""
    for number, (name, parameter) in enumerate(model.named_parameters()):
        values = uniform(parameter.shape, 3 + number)
        if parameter.ndim > 1:
            parameter[...] = values / np.sqrt(parameter.shape[-1])
        else:
            parameter[...] = 0.5 * values + (1 if name.endswith("weight") else 0)


def model_of(case: Case, backend: Backend, dtype: str, like: str | None = None) -> bp.Model:
    """A model at the start of a case, with the conventions of a library."""
    hyper = dict(case.hyper)
    if case.schedule:
        name, arguments = case.schedule
        hyper["lr"] = getattr(optim.schedules, name)(**arguments)
    optimizer = getattr(optim, case.optimizer)(**hyper, **case.clip)
    model = bp.Model(case.net(bp.nn), case.loss(bp.nn), optimizer, dtype=dtype, like=like)
    model.backend = backend
    start(model)
    return model


def mlp(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4))


def deep(nn: Any) -> Any:
    """A little of everything: normalisation, a residual branch, four activations, fused and alone."""
    branch = nn.Residual(nn.Sequential(nn.LayerNorm(10), nn.Linear(10, 7), nn.GELU(), nn.Linear(7, 10)))
    linear = nn.Linear(
        6, 10, bias=False
    )  # a bias would do nothing before BatchNorm, and Adam would blow its rounding up
    return nn.Sequential(linear, nn.BatchNorm1d(10), nn.SiLU(), branch, nn.ReLU(), nn.Linear(10, 4))


def mse(nn: Any) -> Any:
    return nn.MSELoss()


def cross_entropy(nn: Any) -> Any:
    return nn.CrossEntropyLoss()


CLASSES: dict[str, Any] = {"loss": cross_entropy, "target": "classes", "target_shape": ()}

GOLDEN = {
    "sgd nesterov, mse": Case(
        mlp, mse, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, steps=20
    ),
    "adam, cross entropy": Case(mlp, **CLASSES, optimizer="Adam", hyper={"lr": 0.02}, steps=20),
    "adamw, deep": Case(
        deep, **CLASSES, optimizer="AdamW", hyper={"lr": 0.01, "weight_decay": 0.1}, steps=20
    ),
    "rmsprop centered, huber": Case(
        lambda nn: nn.Sequential(nn.Linear(6, 9), nn.ELU(), nn.Linear(9, 4)),
        lambda nn: nn.HuberLoss(delta=0.5),
        "RMSprop",
        {"lr": 0.005, "momentum": 0.5, "centered": True},
        steps=20,
    ),
    "adagrad, bce": Case(
        lambda nn: nn.Sequential(nn.Linear(6, 9), nn.Softplus(), nn.Linear(9, 4)),
        lambda nn: nn.BCEWithLogitsLoss(pos_weight=2.0),
        "Adagrad",
        {"lr": 0.05, "lr_decay": 0.1},
        target="binary",
        steps=20,
    ),
    "adadelta, batch norm over length": Case(
        lambda nn: nn.Sequential(
            nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(15, 8), nn.LeakyReLU(), nn.Linear(8, 4)
        ),
        lambda nn: nn.SmoothL1Loss(beta=0.3),
        "Adadelta",
        {"lr": 1.0},
        shape=(3, 5),
        steps=20,
    ),
    "nadam one cycle, label smoothing": Case(
        mlp,
        lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1, weight=[1.0, 2.0, 0.5, 1.5], ignore_index=-100),
        "NAdam",
        {},
        {"clip_grad_norm": 0.3},
        ("one_cycle", {"lr": 0.05, "total_steps": 20}),
        target="ignored",
        target_shape=(),
        steps=20,
    ),
    "lion warm-up, layer norm": Case(
        lambda nn: nn.Sequential(
            nn.Linear(6, 8), nn.LayerNorm(8), nn.Sigmoid(), nn.Linear(8, 4), nn.Softmax(dim=-1)
        ),
        mse,
        "Lion",
        {"weight_decay": 0.1},
        {"clip_grad_value": 0.01},
        ("warmup_cosine", {"lr": 0.01, "warmup_steps": 5, "total_steps": 18, "end": 0.001}),
        target="share",
        steps=20,
    ),
}
