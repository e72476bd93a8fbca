"""What this machine can do at most, measured: multiply-adds of a core, and bytes moved. The bench sets results beside it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from ..backends import Backend
from ..ops import multiply_add
from ..program import call
from ..system.memory import aligned

ROUNDS = 500
ELEMENTS = 65536  # for each thread: a few tasks
REPEATS = 7


def gflops(backend: Backend, threads: int = 1) -> float:
    """The most float32 GFLOP/s that the backend's multiply-adds reach: two operations each, nothing read or written."""
    x, y = (aligned((ELEMENTS * threads,), np.float32) for _ in range(2))
    program = backend.compile([call(multiply_add, x=x, y=y, factor=0.5, term=1.0, rounds=ROUNDS)])
    return 2 * x.size * ROUNDS / _best(lambda: program.run(1, threads)) / 1e9


def pair(backend: Backend) -> float:
    """The multiply-adds of two threads over those of one: about 2 on two cores, about 1 on two hyperthreads of one."""
    return gflops(backend, 2) / gflops(backend, 1)


def gigabytes(parameters: int, threads: int = 1) -> float:
    """GB/s of NumPy copies and sums with the traffic of an update: Adam reads 4 float32 of a parameter and writes 3."""
    source = [np.ones(parameters, np.float32) for _ in range(4)]
    target = [np.ones(parameters, np.float32) for _ in range(3)]
    parts = [slice(parameters * n // threads, parameters * (n + 1) // threads) for n in range(threads)]

    def move(part: slice) -> None:
        for destination, origin in zip(target, source, strict=False):
            np.copyto(destination[part], origin[part])  # without the GIL, like the sum
        source[-1][part].sum()

    with ThreadPoolExecutor(threads) as pool:
        run = partial(move, parts[0]) if threads == 1 else lambda: list(pool.map(move, parts))
        return 4 * parameters * 7 / _best(run) / 1e9


def _best(run: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs: a peak is what was reached once."""
    run()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
