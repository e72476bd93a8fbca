"""python -m backpass doctor: show_config and a quick speed check of every backend, to paste into a bug report."""

import argparse
import time

from ..backends import available_backends
from ..diagnostics.config import show_config
from .workloads import WORKLOADS, Workload

CHECKED = "small"
# Of training for each backend.
SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(arguments: argparse.Namespace) -> None:
    """Print the report."""
    print(show_config())
    workload = WORKLOADS[CHECKED]
    print(f"\nspeed check: {'-'.join(map(str, workload.layers))}, batch {workload.batch}, Adam, float32")
    for name in available_backends():
        try:
            microseconds, first_step_seconds = speed(workload, name)
        except Exception as error:  # a report of what is broken has to survive it
            print(f"  {name:<7} FAILED: {type(error).__name__}: {error}")
        else:
            gflops = workload.flops / microseconds / 1e3
            print(
                f"  {name:<7} {microseconds:8.1f} µs a step, {gflops:6.1f} GFLOP/s; first step after {first_step_seconds:.2f} s"
            )


def speed(workload: Workload, backend: str) -> tuple[float, float]:
    """Microseconds a step, and the seconds until the first step is done."""
    X, y = workload.data()
    X, y = X[: 100 * workload.batch], y[: 100 * workload.batch]
    start = time.perf_counter()
    model = workload.model(backend)
    model.step(X[: workload.batch], y[: workload.batch])
    first_step_seconds = time.perf_counter() - start
    model.fit(X, y, batch_size=workload.batch)
    steps, start = int(model.engine.step_count[0]), time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        model.fit(X, y, batch_size=workload.batch)
    return (time.perf_counter() - start) / (int(model.engine.step_count[0]) - steps) * 1e6, first_step_seconds
