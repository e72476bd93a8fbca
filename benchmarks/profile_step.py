"""Where the time of a training step goes: every instruction of a workload's program, timed in place.

    python benchmarks/profile_step.py small medium [--threads N] [--seconds S]

Prints µs, share of the step, GFLOP/s and GB/s (by the op's own account) of each instruction, medians of a few runs. A clock is
read around each instruction, which adds some 50 ns to it: of the tiny workloads only the order of the figures means something.
"""

import argparse
import statistics
from typing import Any

import numpy as np

from backpass.backends.native import NativeExecutor
from backpass.cli.bench import KNOWN
from backpass.cli.workloads import Workload
from backpass.data.feed import Feed
from backpass.data.order import Order
from backpass.engine.inputs import checked_data
from backpass.training.loops import EpochLoop

REPEATS = 5


def program_of(workload: Workload, threads: int) -> NativeExecutor:
    """The compiled program of one training step, as `fit` makes it."""
    model, (X, y) = workload.model("native", threads), workload.data()
    inputs, target, _ = checked_data(model.engine, X, y, None)
    feed = Feed.of(inputs, target)
    np.random.default_rng(0).shuffle(feed.index)
    order = Order(model.backend, model.seed, feed.index, shuffled=False)
    loop = EpochLoop(model.engine, feed, workload.batch, order, inputs.rows)
    executor, _ = loop.programs[workload.batch]
    assert isinstance(executor, NativeExecutor)
    executor.wound_back = feed.cursor  # type: ignore[attr-defined]
    return executor


def profile(workload: Workload, threads: int, seconds: float) -> list[dict[str, Any]]:
    """What each instruction does and takes."""
    executor = program_of(workload, threads)
    cursor = executor.wound_back  # type: ignore[attr-defined]
    steps = max(1, min(workload.steps_per_epoch, int(seconds / max(sum(executor.profile(1, threads)), 1e-6))))
    runs = []
    for _ in range(REPEATS + 1):
        cursor[0] = 0
        runs.append([t * 1e6 / steps for t in executor.profile(steps, threads)])
    middle = [statistics.median(times) for times in zip(*runs[1:], strict=True)]
    return [
        {"op": name, "us": us, "gflops": flops / us / 1e3, "gigabytes": moved / us / 1e3}
        for (name, flops, moved), us in zip(executor.costs(), middle, strict=True)
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="+", choices=KNOWN)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="of one run (default 0.3; at most an epoch)"
    )
    arguments = parser.parse_args()
    for name in arguments.workloads:
        rows = profile(KNOWN[name], arguments.threads, arguments.seconds)
        total = sum(row["us"] for row in rows)
        print(f"{name}: {total:,.1f} µs a step")
        for row in rows:
            share = 100 * row["us"] / total
            print(
                f"  {row['op']:<24}{row['us']:12,.2f} µs{share:6.1f} %"
                f"{row['gflops']:9.1f} GFLOP/s{row['gigabytes']:8.1f} GB/s"
            )


if __name__ == "__main__":
    main()
