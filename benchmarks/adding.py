"""The adding problem: two numbers of a sequence are marked, and their sum is to be told at its end.

    python benchmarks/adding.py --json benchmarks/results/adding.json

Each step of a sequence of 100 has a number from 0 to 1 and a mark; one step of each half is marked. A network that always
says 1 has a mean squared error of 1/6. A recurrent layer of 64 units, Adam 2e-3, gradients clipped at norm 1, batches of 64;
measured on 2,000 sequences that were never trained on (Hochreiter and Schmidhuber 1997).
"""

import argparse
import json
from pathlib import Path

import numpy as np

import backpass as bp
from backpass import nn, optim

STEPS = 100


def sequences(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and marks (rows, 100, 2); the sums of the marked ones (rows, 1)."""
    X = np.zeros((rows, STEPS, 2), np.float32)
    X[..., 0] = rng.random((rows, STEPS))
    each, half = np.arange(rows), STEPS // 2
    for first in (0, half):
        X[each, first + rng.integers(0, half, rows), 1] = 1
    return X, (X[..., 0] * X[..., 1]).sum(1, keepdims=True)


def error(layer: str, seed: int, rows: int, epochs: int) -> list[float]:
    """Mean squared error on unseen sequences after each epoch."""
    rng = np.random.default_rng(seed)
    recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[layer]
    net = nn.Sequential(recurrent(2, 64, returns="last"), nn.Linear(64, 1))
    model = bp.Model(net, "mse", optim.Adam(2e-3, clip_grad_norm=1.0), seed=seed)
    history = model.fit(
        *sequences(rows, rng), epochs=epochs, batch_size=64, validation_data=sequences(2000, rng)
    )
    return history.history["val_loss"]


def main() -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--json")
    asked = parser.parse_args()
    results = {
        layer: [error(layer, seed, asked.rows, asked.epochs) for seed in range(asked.seeds)]
        for layer in ("lstm", "gru")
    }
    for layer, runs in results.items():
        print(layer, [f"{run[-1]:.5f}" for run in runs])
    if asked.json:
        Path(asked.json).write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
