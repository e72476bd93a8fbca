"""Cross entropy on the held-out tenth of tiny Shakespeare: an LSTM by characters, the same on streams, and a small GPT.

    BACKPASS_DATA=... python benchmarks/text.py --json benchmarks/results/text.json

LSTM: embedding 64, 128 units; random windows of 32 x 64 characters, Adam 2e-3, 3,000 steps; measured on all held-out text in
windows of 64 from a zero state. Streams: the same with the state carried on, in training and measurement. GPT: 4 layers, 4 heads,
width 128, windows of 12 x 64, AdamW from 1e-3 to 1e-4 by a cosine with 100 steps of warm-up, clipping at 1, 2,000 steps.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn, optim
from backpass.cli.sequence_workloads import characters
from backpass.cli.token_workloads import gpt

STEPS = 64
# PyTorch's for the same network, data and one seed, measured elsewhere and not by this script: step -> cross entropy.
REFERENCE = {250: 2.069, 500: 1.922, 1000: 1.810, 2000: 1.721, 3000: 1.682}


def text() -> tuple[np.ndarray, np.ndarray]:
    """The characters as integers: the first nine tenths, and the rest."""
    content = (Path(os.environ["BACKPASS_DATA"]) / "tinyshakespeare.txt").read_text("utf-8")
    ids = np.unique(list(content), return_inverse=True)[1]
    return ids[: len(ids) * 9 // 10], ids[len(ids) * 9 // 10 :]


def windows(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The whole text in windows of 64, and what follows each character."""
    count = (len(ids) - 1) // STEPS
    return ids[: count * STEPS].reshape(count, STEPS), ids[1 : count * STEPS + 1].reshape(count, STEPS)


def at_random(ids: np.ndarray, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Windows that begin anywhere."""
    starts = rng.integers(0, len(ids) - STEPS - 1, rows)[:, None] + np.arange(STEPS)
    return ids[starts], ids[starts + 1]


def lstm(seed: int, train: np.ndarray, held_out: np.ndarray, share: float) -> dict[str, Any]:
    """Held-out cross entropy by step."""
    model = bp.Model(characters(64, 128, 1)(nn), "cross_entropy", optim.Adam(2e-3), seed=seed, threads=1)
    rng, done, found = np.random.default_rng(seed), 0, {}
    for step in REFERENCE:
        X, y = at_random(train, 32 * int(share * (step - done)), rng)
        model.fit(X, y, batch_size=32)
        done, found[step] = step, model.evaluate(*windows(held_out))["loss"]
    return {str(step): loss for step, loss in found.items()}


def streams(seed: int, train: np.ndarray, held_out: np.ndarray, share: float) -> float:
    """Held-out cross entropy after 3,000 steps on streams."""
    model = bp.Model(characters(64, 128, 1)(nn), "cross_entropy", optim.Adam(2e-3), seed=seed, threads=1)
    data = bp.Streams(train, batch=32, steps=STEPS)
    whole, rest = divmod(int(3000 * share), data.batches)
    model.fit(data, epochs=whole)
    model.fit(bp.Streams(train[: (rest * STEPS + 1) * 32 + 1], batch=32, steps=STEPS))
    return model.evaluate(bp.Streams(held_out, batch=32, steps=STEPS))["loss"]


def transformer(seed: int, train: np.ndarray, held_out: np.ndarray, share: float) -> dict[str, float]:
    """Held-out cross entropy after 2,000 steps, and the seconds of training."""
    schedule = optim.schedules.warmup_cosine(1e-3, warmup_steps=100, total_steps=2000, end=1e-4)
    net = gpt(4, 4, 128, STEPS)(nn)
    model = bp.Model(
        net,
        "cross_entropy",
        optim.AdamW(lr=schedule, betas=(0.9, 0.99), clip_grad_norm=1.0),
        seed=seed,
        threads=1,
    )
    rng = np.random.default_rng(seed)
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            scale = 0.02 / np.sqrt(8) if "project" in name or "down" in name else 0.02
            weight[...] = rng.normal(0, scale, weight.shape)
    X, y = at_random(train, 12 * int(2000 * share), rng)
    start = time.perf_counter()
    model.fit(X, y, batch_size=12)
    seconds = time.perf_counter() - start
    return {"loss": model.evaluate(*windows(held_out))["loss"], "seconds": seconds}


def main() -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the text and of the steps")
    parser.add_argument("--only", choices=["lstm", "streams", "transformer"])
    parser.add_argument("--json")
    asked = parser.parse_args()
    data = tuple(ids[: int(asked.share * len(ids))] for ids in text())
    results: dict[str, Any] = {"reference": {str(k): v for k, v in REFERENCE.items()}}
    for name, train in (("lstm", lstm), ("streams", streams), ("transformer", transformer)):
        if asked.only in (None, name):
            results[name] = []
            for seed in range(asked.seeds):
                results[name].append(train(seed, *data, asked.share))
                print(name, seed, results[name][-1], flush=True)
    if asked.json:
        Path(asked.json).write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
