"""Accuracy of Keras's small CNN on MNIST by epoch, for several seeds, beside PyTorch's for the same network and seeds.

    BACKPASS_DATA=... python benchmarks/mnist_cnn.py --json benchmarks/results/mnist_cnn.json

Convolution, ReLU, maximum, twice; dropout 0.5; one linear layer. Adam, 1e-3, batches of 128, pixels divided by 255.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn, optim


def network(nn: Any) -> Any:
    """The network, of the layers of a library."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(1600, 10),
    )  # fmt: skip


def images(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 1, 28, 28) from 0 to 1, and their digits."""
    with np.load(Path(os.environ["BACKPASS_DATA"]) / f"mnist_{part}.npz") as file:
        first, second = (file[name] for name in file.files)
    pixels, digits = (first, second) if first.size > second.size else (second, first)
    return pixels.reshape(-1, 1, 28, 28).astype(np.float32) / 255, digits.astype(np.int64)


def ours(epochs: int, seed: int, data: Any) -> list[float]:
    """Share of the test digits that are right after each epoch."""
    X, y, T, t = data
    model = bp.Model(network(nn), "cross_entropy", optim.Adam(1e-3), seed=seed, threads=1)
    history = model.fit(X, y, epochs=epochs, batch_size=128, validation_data=(T, t))
    return [float(value) for value in history.history["val_accuracy"]]


def torch(epochs: int, seed: int, data: Any) -> list[float]:
    """The same in PyTorch."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    X, y, T, t = map(torch.from_numpy, data)
    net = network(torch.nn).to(memory_format=torch.channels_last)
    optimizer, found = torch.optim.Adam(net.parameters(), 1e-3, fused=True), []
    for _ in range(epochs):
        net.train()
        for rows in torch.randperm(len(X)).split(128):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(X[rows]), y[rows]).backward()
            optimizer.step()
        net.eval()
        with torch.inference_mode():
            right = sum(
                int((net(x).argmax(1) == d).sum()) for x, d in zip(T.split(500), t.split(500), strict=True)
            )
        found.append(right / len(T))
    return found


def main() -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--torch-epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="the first so many (default: all)")
    parser.add_argument("--json")
    asked = parser.parse_args()
    data = [array[: asked.rows] for part in ("train", "test") for array in images(part)]
    results: dict[str, Any] = {"backpass": [], "torch": []}
    for seed in range(asked.seeds):
        for name, train, epochs in (("backpass", ours, asked.epochs), ("torch", torch, asked.torch_epochs)):
            accuracy = train(epochs, seed, data) if epochs else []
            results[name].append(accuracy)
            print(name, seed, [round(100 * value, 2) for value in accuracy], flush=True)
            if asked.json:
                Path(asked.json).write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
