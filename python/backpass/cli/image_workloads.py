"""Workloads of convolutional networks: LeNet, a small Keras CNN, a residual network of 8 layers, a network for sensor signals."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .network_workload import NetworkWorkload


@dataclass(frozen=True)
class ImageWorkload(NetworkWorkload):
    """A network on images or signals."""

    def data(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        rows = self.batch * self.steps_per_epoch
        X = rng.standard_normal((rows, *self.shape), dtype=np.float32)
        return X, rng.integers(0, self.layers[-1], rows)


def lenet(nn: Any) -> Any:
    """Two convolutions with average pooling, three linear layers (LeCun et al. 1998, with ReLU)."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def kerascnn(nn: Any) -> Any:
    """Two convolutions with maximum pooling, one linear layer: Keras's example for MNIST."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(1600, 10),
    )  # fmt: skip


def resnet8(nn: Any) -> Any:
    """Three residual blocks of 16, 32 and 64 channels with batch normalisation (He et al. 2016)."""

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = (
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
            self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
            self.shortcut = (
                nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
                if inputs != outputs
                else nn.Identity()
            )
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + self.shortcut(x))

    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2),
        Block(32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def sensor1d(nn: Any) -> Any:
    """Three convolutions along time, the mean over time, one linear layer."""
    return nn.Sequential(
        nn.Conv1d(9, 64, 5, padding=2), nn.ReLU(), nn.Conv1d(64, 64, 5, padding=2), nn.ReLU(),
        nn.Conv1d(64, 64, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 6),
    )  # fmt: skip


IMAGES = (
    ImageWorkload("lenet", (784, 10), 128, shape=(1, 28, 28), build=lenet),
    ImageWorkload("kerascnn", (784, 10), 128, shape=(1, 28, 28), build=kerascnn),
    ImageWorkload("resnet8", (3072, 10), 64, shape=(3, 32, 32), build=resnet8),
    ImageWorkload("sensor1d", (1152, 6), 64, shape=(9, 128), build=sensor1d),
)
IMAGE_WORKLOADS = {w.name: w for w in IMAGES} | {
    f"{w.name}_b1": replace(w, name=f"{w.name}_b1", batch=1) for w in IMAGES
}
