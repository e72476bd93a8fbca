"""Our own backends as contestants."""

import time

from ..workloads import Workload
from .common import Contestant


def backend(workload: Workload, name: str, threads: int) -> Contestant:
    """`fit` on a backend: shuffling and gathering included."""
    model, (X, y) = workload.model(name, threads), workload.data()

    def train(epochs: int) -> float:
        start = time.perf_counter()
        model.fit(X, y, epochs=epochs, batch_size=workload.batch)
        return time.perf_counter() - start

    return train
