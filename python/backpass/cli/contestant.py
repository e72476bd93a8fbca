"""What takes turns in the benchmark: a function that trains, and our own backends as such."""

import time
from collections.abc import Callable

from ..backends.precision import Precision
from .workloads import Workload

# Trains so many epochs, and returns the seconds.
Contestant = Callable[[int], float]
Make = Callable[[Workload, int], Contestant]


def backend(workload: Workload, name: str, threads: int, precision: Precision | None = None) -> Contestant:
    """`fit` on a backend of ours: shuffling and gathering included."""
    model, (X, y) = workload.model(name, threads), workload.data()
    model.precision = precision
    lengths = workload.lengths()

    def train(epochs: int) -> float:
        start = time.perf_counter()
        model.fit(X, y, epochs=epochs, batch_size=workload.batch, lengths=lengths)
        return time.perf_counter() - start

    return train
