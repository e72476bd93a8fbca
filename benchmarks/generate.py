"""Time of a new integer in `Model.generate` and in the usual loop of PyTorch, one thread, batch 1.

    python benchmarks/generate.py --json benchmarks/results/generate.json

charlstm: embedding 64, LSTM of 128 units; PyTorch carries the state. nanogpt: 4 layers, 4 heads, width 128, windows of 64 and 256
steps; PyTorch reads the last window again for each integer, under inference_mode. `stride` is by how much a full window moves on.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import backpass as bp
from backpass import nn
from backpass.cli.sequence_workloads import characters
from backpass.cli.token_workloads import gpt
from backpass.diagnostics import config

LAYERS, HEADS, WIDTH = 4, 4, 128


def drawn(logits: Any) -> Any:
    """An integer (1, 1) from the softmax of the last step's logits."""
    return torch.multinomial(torch.softmax(logits[:, -1], -1), 1)


def carried_on(net: Any, steps: int) -> None:
    """The loop for a recurrent network."""
    with torch.inference_mode():
        x, state = torch.zeros((1, 1), dtype=torch.int64), None
        for _ in range(steps):
            h, state = net.lstm(net.embedding(x), state)
            x = drawn(net.out(h))


def read_again(net: Any, window: int, steps: int) -> None:
    """The loop for a transformer (nanoGPT's `generate`)."""
    with torch.inference_mode():
        ids = torch.zeros((1, 1), dtype=torch.int64)
        for _ in range(steps):
            ids = torch.cat([ids, drawn(net(ids[:, -window:]))], 1)


def session_steps(model: bp.Model, steps: int) -> None:
    """`Session.step` without drawing."""
    session, ids = model.session(), np.zeros(1, np.int64)
    for _ in range(steps):
        session.step(ids)


def main() -> None:
    """Measure in turns, print medians, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lstm = characters(64, 128, 1)
    model = bp.Model(lstm(nn), "cross_entropy", threads=1)
    ways: dict[str, Callable[[int], Any]] = {
        "charlstm, generate": partial(model.generate, [0]),
        "charlstm, session.step": partial(session_steps, model),
        "charlstm, PyTorch": partial(carried_on, lstm(torch.nn).eval()),
    }
    for window in (64, 256):
        build = gpt(LAYERS, HEADS, WIDTH, window)
        model, net = bp.Model(build(nn), "cross_entropy", threads=1), build(torch.nn).eval()
        for stride in (1, window // 2):
            name = f"nanogpt {window}, generate, stride {stride}"
            ways[name] = partial(model.generate, [0], window=window, stride=stride)
        ways[f"nanogpt {window}, PyTorch"] = partial(read_again, net, window)
    for run in ways.values():
        run(20)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(asked.rounds):
        for name, run in ways.items():
            start = time.perf_counter()
            run(asked.steps)
            times[name].append((time.perf_counter() - start) / asked.steps * 1e6)
    results = {name: float(np.median(found)) for name, found in times.items()}
    for name, microseconds in results.items():
        print(f"{name:36} {microseconds:9.1f} us an integer")
    if asked.json:
        Path(asked.json).write_text(
            json.dumps({"versions": config.facts(), "us": results}, indent=1) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
