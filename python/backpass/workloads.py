"""The workloads that speed is measured on: fully connected networks, ReLU between the layers, Adam, float32, synthetic data."""

from dataclasses import dataclass

import numpy as np

from . import nn
from .model import Model

DATA_BYTES = 32 << 20  # of X: small networks get many batches, large ones stay within memory


@dataclass(frozen=True)
class Workload:
    """A network with the size of its batches. One output: mean squared error; several: cross entropy."""

    name: str
    layers: tuple[int, ...]
    batch: int
    slow: bool = False  # seconds a step in NumPy: only measured when asked for

    @property
    def loss(self) -> str:
        """The loss by name."""
        return "mse" if self.layers[-1] == 1 else "cross_entropy"

    @property
    def flops(self) -> int:
        """Floating point operations of a step: forward, dW, and dX for all layers but the first."""
        products = [a * b for a, b in zip(self.layers, self.layers[1:], strict=False)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    @property
    def steps_per_epoch(self) -> int:
        """How many batches the synthetic data hold."""
        return max(8, min(1000, DATA_BYTES // (4 * self.batch * self.layers[0])))

    def data(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Normal X; random classes, or a random number to predict."""
        rng = np.random.default_rng(seed)
        rows = self.batch * self.steps_per_epoch
        X = rng.standard_normal((rows, self.layers[0]), dtype=np.float32)
        if self.loss == "mse":
            return X, rng.standard_normal((rows, 1), dtype=np.float32)
        return X, rng.integers(0, self.layers[-1], rows)

    def model(self, backend: str, threads: int | None = None) -> Model:
        """The network, ready to train."""
        sizes = list(zip(self.layers, self.layers[1:], strict=False))
        inner = [layer for a, b in sizes[:-1] for layer in (nn.Linear(a, b), nn.ReLU())]
        net = nn.Sequential(*inner, nn.Linear(*sizes[-1]))
        return Model(net, self.loss, "adam", backend=backend, threads=threads)


WORKLOADS = {
    w.name: w
    for w in (
        Workload("tiny", (8, 32, 32, 1), 32),
        Workload("rl", (8, 64, 64, 4), 64),
        Workload("small", (64, 128, 128, 10), 64),
        Workload("mnist", (784, 256, 128, 10), 128),
        Workload("medium", (784, 1024, 1024, 10), 256),
        Workload("large", (1024, 4096, 4096, 1000), 512, slow=True),
    )
}
