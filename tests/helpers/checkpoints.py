"""Data, networks and runs for the tests of checkpoints."""

import errno
from collections.abc import Callable
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn, optim
from backpass.optim import schedules

RNG = np.random.default_rng(0)

X = RNG.standard_normal((90, 6)).astype(np.float32)

LABELS = RNG.integers(0, 3, 90)

XV, LABELS_V = RNG.standard_normal((30, 6)).astype(np.float32), RNG.integers(0, 3, 30)


def network() -> nn.Module:
    """Every kind of state: running statistics, dropout, a layer that stands in two places."""
    shared = nn.Linear(8, 8, init="he_normal")
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), shared, nn.GELU("tanh"), shared,
        nn.Residual(nn.Linear(8, 8, bias=False), nn.LayerNorm((8,)), nn.BatchNorm1d(8, momentum=None), nn.ELU(0.5)),
        nn.Linear(8, 3),
    )  # fmt: skip


def own_loss(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """A loss that no file can describe."""
    difference = pred - np.eye(3)[y]
    return float((difference**2).mean()), 2 * difference / difference.size


def model(optimizer: Any = "adam", loss: Any = "cross_entropy", **options: Any) -> bp.Model:
    return bp.Model(network(), loss, optimizer, **options)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    **{name: lambda name=name: name for name in sorted(optim.NAMES)},
    "nesterov": lambda: optim.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.01, clip_grad_norm=0.5),
    "amsgrad": lambda: optim.Adam(1e-2, betas=(0.8, 0.99), amsgrad=True, clip_grad_value=0.1),
    "centered": lambda: optim.RMSprop(momentum=0.5, centered=True),
    "accumulator": lambda: optim.Adagrad(initial_accumulator_value=0.1, lr_decay=0.01),
    "step": lambda: optim.SGD(schedules.step(0.1, 7, 0.5), momentum=0.9),
    "exponential": lambda: optim.SGD(schedules.exponential(0.1, 7, 0.5)),
    "cosine": lambda: optim.AdamW(schedules.cosine(0.01, 50, 0.001)),
    "warmup_cosine": lambda: optim.NAdam(schedules.warmup_cosine(0.01, 10, 50)),
    "one_cycle": lambda: optim.Lion(schedules.one_cycle(0.001, 60)),
    "piecewise": lambda: optim.Adadelta(schedules.piecewise(0.5, {8: 0.5, 20: 0.1})),
}


def bits(trained: bp.Model) -> dict[str, Any]:
    """All that training goes on from, as hexadecimal digits."""
    arrays = trained.state_dict() | {
        slot: trained.engine.optimizer_state[slot] for slot in trained.optimizer.slots
    }
    found = {name: array.tobytes().hex() for name, array in arrays.items()}
    return found | {
        "epoch": trained.epoch,
        "steps": int(trained.engine.step_count[0]),
        "lr": trained.lr.hex(),
    }


def stopping(restore: bool) -> bp.EarlyStopping:
    return bp.EarlyStopping("val_loss", patience=6, restore_best=restore)


def fit(trained: bp.Model, epochs: int, name: str, **options: Any) -> bp.Model:
    """What is the same in all runs."""
    if name.startswith("early"):
        options |= {"validation_data": (XV, LABELS_V), "callbacks": [stopping(name == "early_best")]}
    if name == "plateau":
        callback = bp.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=0.05)
        options |= {"callbacks": [callback]}
    trained.fit(X, LABELS, epochs=epochs, batch_size=20, **options)
    return trained


class Stop(bp.Callback):
    """An accident after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def pace(self) -> int:
        return max(self.steps - int(self.model.engine.step_count[0]), 1)

    def on_slice_end(self, step: int, logs: Any) -> None:
        if self.model.engine.step_count[0] >= self.steps:
            raise RuntimeError("an accident")


class Every(bp.Callback):
    """Every batch is a slice."""

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        pass


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
