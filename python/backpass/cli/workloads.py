"""The workloads that speed is measured on: fully connected networks, float32, synthetic data."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nn, optim
from ..model import Model

DATA_BYTES = 32 << 20  # of X: small networks get many batches, large ones stay within memory


@dataclass(frozen=True)
class Workload:
    """A network with its batches and its optimizer."""

    name: str
    layers: tuple[int, ...]
    batch: int
    slow: bool = False  # seconds a step in NumPy: only measured when asked for
    loss: str = "cross_entropy"  # or "mse"
    activation: str = "ReLU"  # or "Tanh", between the layers
    dropout: float = 0.0  # after every activation
    batch_norm: bool = False  # before every activation
    optimizer: str = "Adam"
    eps: float = 1e-8
    clip_grad_norm: float | None = None

    @property
    def plain(self) -> bool:
        """Whether it is nothing but products, activations, a loss and Adam."""
        return not self.dropout and not self.batch_norm and self.optimizer == "Adam"

    @property
    def weight_decay(self) -> float:
        """AdamW's, which is decoupled; Adam has none."""
        return 1e-2 if self.optimizer == "AdamW" else 0.0

    @property
    def flops(self) -> int:
        """Floating point operations of a step: forward, dW, and dX for all layers but the first."""
        products = [a * b for a, b in zip(self.layers, self.layers[1:], strict=False)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    @property
    def parameters(self) -> int:
        """How many weights and biases the network has."""
        pairs = list(zip(self.layers, self.layers[1:], strict=False))
        norms = sum(2 * o for _, o in pairs[:-1]) if self.batch_norm else 0
        return sum(i * o + o for i, o in pairs) + norms

    @property
    def bytes(self) -> int:
        """What a step has to move at least: its rows of X; of each parameter the weight forward and (but for the first layer)
        backward, the gradient when it is computed and for its norm, and Adam's four reads and three writes."""
        first_layer_weights = self.layers[0] * self.layers[1]
        return 4 * (11 * self.parameters - first_layer_weights + self.batch * self.layers[0])

    @property
    def steps_per_epoch(self) -> int:
        """How many batches the synthetic data hold."""
        return max(8, min(1000, DATA_BYTES // (4 * self.batch * self.layers[0])))

    def data(self, seed: int = 0) -> tuple[Any, np.ndarray]:
        """Normal X; random classes, or a random number to predict."""
        rng = np.random.default_rng(seed)
        rows = self.batch * self.steps_per_epoch
        X = rng.standard_normal((rows, self.layers[0]), dtype=np.float32)
        if self.loss == "mse":
            return X, rng.standard_normal((rows, self.layers[-1]), dtype=np.float32)
        return X, rng.integers(0, self.layers[-1], rows)

    def lengths(self, seed: int = 0) -> np.ndarray | None:
        """Where rows end; None where all have every step."""
        return None

    def model(self, backend: str, threads: int | None = None) -> Model:
        """The network, ready to train."""
        layers: list[nn.Module] = []
        for a, b in zip(self.layers, self.layers[1:], strict=False):
            layers.append(nn.Linear(a, b))
            layers += [nn.BatchNorm1d(b)] * self.batch_norm
            layers.append(getattr(nn, self.activation)())
            layers += [nn.Dropout(self.dropout)] * (self.dropout > 0)
        trailing_layers = (
            1 + self.batch_norm + (self.dropout > 0)
        )  # what follows a hidden layer does not follow the last
        optimizer = getattr(optim, self.optimizer)(eps=self.eps, clip_grad_norm=self.clip_grad_norm)
        net = nn.Sequential(*layers[:-trailing_layers])
        named: dict[str, Any] = {"loss": self.loss, "backend": backend}
        return Model(net, optimizer=optimizer, threads=threads, **named)


def _cliff(width: int) -> Workload:
    """Widths around a multiple of the vectors: time must not jump between 45 and 46."""
    return Workload(f"cliff{width}", (10, width, width, 10), 128)


MAIN = ("tiny", "rl", "small", "mnist", "medium", "large")
WORKLOADS = {
    w.name: w
    for w in (
        Workload("tiny", (8, 32, 32, 1), 32, loss="mse"),
        Workload("rl", (8, 64, 64, 4), 64),
        Workload("small", (64, 128, 128, 10), 64),
        Workload("mnist", (784, 256, 128, 10), 128),
        Workload("medium", (784, 1024, 1024, 10), 256),
        Workload("large", (1024, 4096, 4096, 1000), 512, slow=True),
        Workload("sb3", (17, 64, 64, 6), 64, loss="mse", activation="Tanh", eps=1e-5, clip_grad_norm=0.5),
        Workload("dqn", (4, 120, 84, 2), 128, loss="mse"),
        Workload("sac", (14, 256, 256, 1), 256, loss="mse"),
        Workload("tabular", (54, 128, 256, 128, 7), 128, dropout=0.1, batch_norm=True, optimizer="AdamW"),
        Workload("jets", (16, 64, 32, 32, 5), 1024),
        *map(_cliff, (32, 45, 46, 64, 128, 256)),
    )
}
