"""python -m backpass bench: native, Numba and NumPy side by side.

What is measured: the time of model.fit divided by its number of steps. A step is everything that training does: shuffling
(once an epoch), gathering the batch, forward, loss, backward, gradient norm and NaN guard, Adam. Networks and batches are those
of backpass/workloads.py, the data synthetic. Every backend is warmed up first (what Numba compiles is not counted), then the
backends take turns, A B C A B C, so that a drift of the machine meets all of them; the table shows medians and, in brackets,
the spread (slowest minus fastest repeat, in percent of the median). Only ratios carry over to other machines.
Pin the process to its cores where you can (taskset -c 0). BLAS, which Numba and NumPy call, is held to --threads if
threadpoolctl is installed.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from . import config
from .backends import available_backends
from .workloads import WORKLOADS, Workload

Contestant = Callable[[int], float]  # trains this many epochs; returns the seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--workloads", metavar="A,B", help=f"which ones, of {','.join(WORKLOADS)} (default: all but large)"
    )
    parser.add_argument(
        "--large",
        action="store_true",
        help="add the large workload (NumPy needs about a second for each step)",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads for every backend (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each backend (default 5)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.5,
        help="about how long a turn takes (default 0.5; at least an epoch)",
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="let installed libraries take turns too: JAX, PyTorch, scikit-learn, each in its best forms",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write versions, CPU, settings and every repeat to this file"
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure, print the table as it grows, write the JSON file."""
    for option, low in (("threads", 1), ("repeats", 1), ("seconds", 0)):
        if not getattr(arguments, option) >= low:
            raise ValueError(f"--{option} is {getattr(arguments, option)}, expected at least {low}")
    workloads = chosen(arguments.workloads, arguments.large)
    names = available_backends()
    peers = installed_peers(arguments.threads) if arguments.peers else {}
    if arguments.json:
        open(arguments.json, "a", encoding="utf-8").close()  # complain now, not after minutes
    results: dict[str, Any] = {}
    with config.blas_threads(arguments.threads) as blas:
        about = environment(arguments, blas)
        print(
            f"{about['cpu']}, ISA {about['isa'] or 'none'}, {arguments.threads} thread(s), BLAS threads: {blas}"
        )
        print(
            f"µs a step, median of {arguments.repeats} interleaved repeats (spread); times slower than {names[0]}\n"
        )
        print(f"{'':<8}" + "".join(f"{name:>24}" for name in [*names, *peers]))
        for workload in workloads:
            contestants = {name: contestant(workload, name, arguments.threads) for name in names}
            contestants |= {name: make(workload, arguments.threads) for name, make in peers.items()}
            results[workload.name] = measure(workload, contestants, arguments.repeats, arguments.seconds)
            print(table_row(workload.name, results[workload.name]), flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(about | {"workloads": results}, file, indent=1)
        print(f"\nwritten: {arguments.json}")


def installed_peers(threads: int) -> dict[str, Callable[[Workload, int], Contestant]]:
    """The peers that are there. JAX reads its flags when it is imported, and takes as many threads as it has cores."""
    from .peers import PEERS, available

    if threads == 1:
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])  # everybody on the same cores
    return {name: make for name, (library, make) in PEERS.items() if available(library)}


def chosen(names: str | None, large: bool) -> list[Workload]:
    """The workloads to run."""
    if names is None:
        return [workload for workload in WORKLOADS.values() if large or not workload.slow]
    wanted = [name.strip() for name in names.split(",") if name.strip()] + (["large"] if large else [])
    if unknown := [name for name in wanted if name not in WORKLOADS]:
        raise ValueError(f"--workloads names {unknown[0]!r}, expected some of {','.join(WORKLOADS)}")
    return [WORKLOADS[name] for name in dict.fromkeys(wanted)]


def contestant(workload: Workload, backend: str, threads: int) -> Contestant:
    """A backend on a workload."""
    model, (X, y) = workload.model(backend, threads), workload.data()

    def train(epochs: int) -> float:
        start = time.perf_counter()
        model.fit(X, y, epochs=epochs, batch_size=workload.batch)
        return time.perf_counter() - start

    return train


def measure(
    workload: Workload, contestants: dict[str, Contestant], repeats: int, seconds: float
) -> dict[str, Any]:
    """Warm all up, then let them take turns; each trains the same number of steps in each of its turns."""
    results: dict[str, Any] = {}
    epochs = {}
    for name, train in contestants.items():
        first = train(1)
        epochs[name] = max(1, round(seconds / max(train(1), 1e-9)))
        results[name] = {
            "first_epoch_seconds": first,
            "steps": epochs[name] * workload.steps_per_epoch,
            "us_per_step": [],
        }
    for _ in range(repeats):
        for name, train in contestants.items():
            results[name]["us_per_step"].append(train(epochs[name]) * 1e6 / results[name]["steps"])
    base = statistics.median(results[next(iter(results))]["us_per_step"])
    for result in results.values():
        times = result["us_per_step"]
        middle = statistics.median(times)
        result |= {
            "median": middle,
            "min": min(times),
            "spread": (max(times) - min(times)) / middle,
            "ratio": middle / base,
        }
        result["gflops"] = workload.flops / middle / 1e3
    return {"layers": workload.layers, "batch": workload.batch, "loss": workload.loss, "backends": results}


def table_row(name: str, result: dict[str, Any]) -> str:
    """One line of the table."""
    cells = [
        f"{r['median']:,.1f} ({100 * r['spread']:.0f} %) {r['ratio']:5.2f}x"
        for r in result["backends"].values()
    ]
    return f"{name:<8}" + "".join(f"{cell:>24}" for cell in cells)


def environment(arguments: argparse.Namespace, blas: str) -> dict[str, Any]:
    """What has to be known to compare two results."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": config.cpu(),
        "isa": config.isas()[0],
        "threads": arguments.threads,
        "blas_threads": blas,
        "repeats": arguments.repeats,
        "seconds": arguments.seconds,
        "platform": platform.platform(),
        "versions": config.facts(),
        "blas": config.blas_libraries(),
    }
