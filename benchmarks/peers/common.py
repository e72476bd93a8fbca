"""What the peers share: the clock and the first weights."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from backpass.cli.contestant import Contestant
from backpass.cli.workloads import Workload


def timed(
    step: Callable[[], Any], steps: int, finish: Callable[[Any], Any] = lambda last: last
) -> Contestant:
    """A contestant from a function that makes one step (or one call of many) and a way to wait for its result."""

    def train(epochs: int) -> float:
        start = time.perf_counter()
        last = None
        for _ in range(epochs * steps):
            last = step()
        finish(last)
        return time.perf_counter() - start

    return train


def repeated(
    many: Callable[[], Any], steps: int, workload: Workload, finish: Callable[[Any], Any]
) -> Contestant:
    """A contestant from a call that makes `steps` steps: the calls that come closest to the epochs, time in proportion."""
    run = timed(many, 1, finish)

    def train(epochs: int) -> float:
        calls = epochs * workload.steps_per_epoch / steps
        whole = max(1, round(calls))
        return run(whole) * calls / whole

    return train


def first_weights(workload: Workload) -> list[tuple[np.ndarray, np.ndarray]]:
    """U(±1/√fan_in) for every layer, (in, out)."""
    rng = np.random.default_rng(1)
    sizes = zip(workload.layers, workload.layers[1:], strict=False)
    return [
        ((rng.uniform(-1, 1, (i, o)) / np.sqrt(i)).astype(np.float32), np.zeros(o, np.float32))
        for i, o in sizes
    ]
