"""Models drawn at random, each with its own network, loss, optimizer, schedule, callbacks: what many fits are compared on."""

from typing import Any, ClassVar

import numpy as np

import backpass as bp
from backpass import nn, optim

ROWS = 90
RNG = np.random.default_rng(7)
X = RNG.standard_normal((ROWS, 6)).astype(np.float32)
LABELS = RNG.integers(0, 3, ROWS)
CHUNKS = [(X[:40], LABELS[:40]), (X[40:], LABELS[40:])]
VALIDATION = (X[:30] + 0.5, LABELS[:30])


def random_model(seed: int) -> bp.Model:
    """Dropout, normalisation, a loss, an optimizer and a schedule, as the seed says."""
    rng = np.random.default_rng(seed)
    width, layers = int(rng.integers(2, 24)), [nn.Linear(6, 12)]
    for _ in range(rng.integers(0, 3)):
        layers += [rng.choice([nn.ReLU, nn.Tanh, nn.GELU])(), nn.Linear(layers[-1].out_features, width)]
        layers += [[], [nn.Dropout(0.3)], [nn.BatchNorm1d(width)], [nn.LayerNorm(width)]][rng.integers(4)]
        layers += [nn.Linear(width, width)]
    net = nn.Sequential(*layers, nn.Linear(layers[-1].out_features, 3))
    lr: Any = float(rng.choice([1e-3, 1e-2]))
    lr = [lr, optim.schedules.cosine(lr, 30), optim.schedules.step(lr, 7, 0.5)][rng.integers(3)]
    optimizer = [
        optim.Adam(lr=lr), optim.SGD(lr=lr, momentum=0.9), optim.AdamW(lr=lr, clip_grad_norm=0.5), optim.RMSprop(lr=lr),
    ][rng.integers(4)]  # fmt: skip
    loss = [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1)][rng.integers(2)]
    dtype = ["float32", "float64"][rng.integers(2)]
    return bp.Model(net, loss, optimizer, dtype=dtype, seed=seed)


def random_callbacks(seed: int) -> list[bp.Callback]:
    """Early stopping, of its own patience, or a plateau, or nothing."""
    patience = int(np.random.default_rng(seed).integers(0, 3))
    model = random_model(seed)
    plateau = [] if model.optimizer.schedule else [bp.ReduceLROnPlateau(patience=1)]
    return [[bp.EarlyStopping(patience=patience)], plateau, []][seed % 3]


class Counts(bp.Callback):
    """Counts the epochs of all models that train with one, copies among them."""

    epochs: ClassVar[list[int]] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.epochs.append(epoch)

    @classmethod
    def taken(cls) -> int:
        """How many epochs were trained since this was asked last."""
        count = len(cls.epochs)
        cls.epochs.clear()
        return count


def random_sizes(count: int) -> tuple[list[int], list[int]]:
    """Epochs and batch sizes of so many models."""
    rng = np.random.default_rng(count)
    return rng.integers(1, 9, count).tolist(), rng.choice([7, 16, 30, 90], count).tolist()


def state_of(model: bp.Model) -> dict[str, bytes]:
    """All that training goes on from, by name."""
    engine, run = model.engine, model.engine.last_run
    found = {name: array.tobytes() for name, array in model.state_dict().items()}
    found |= {f"optimizer.{name}": engine.optimizer_state[name].tobytes() for name in model.optimizer.slots}
    history = run.history.history if run else {}
    found["counters"] = repr((engine.epoch, engine.step_counts.tolist(), model.lr, history)).encode()
    return found
