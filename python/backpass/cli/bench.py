"""python -m backpass bench: native, Numba and NumPy side by side.

What is measured: the time of model.fit divided by its number of steps. A step is everything that training does: shuffling
(once an epoch), gathering the batch, forward, loss, backward, gradient norm and NaN guard, Adam. Networks and batches are those
of backpass/cli/workloads.py, the data synthetic. Every backend is warmed up first (what Numba compiles is not counted), then the
backends take turns, A B C A B C, so that a drift of the machine meets all of them; the table shows medians and, in brackets,
the spread (slowest minus fastest repeat, in percent of the median). Only ratios carry over to other machines. Beside them stand
the shares of the machine's measured multiply-adds and of its bandwidth, by what a step has to compute and to move at least.
Turns in which others kept more than a twentieth of a CPU busy are counted (Linux); whether two CPUs share a core is measured.
Pin the process to its cores where you can (taskset -c 0). BLAS, which Numba and NumPy call, is held to --threads if
threadpoolctl is installed. With --peers every library runs as it is shipped: variables that force other kernels upon it
(OPENBLAS_CORETYPE and the like) are refused, and forced settings have rows of their own.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..backends import available_backends, get_backend, get_num_threads
from ..diagnostics import config
from . import peak
from .contestant import Contestant, Make, backend
from .image_workloads import IMAGE_WORKLOADS
from .others import Others, disturbed
from .sequence_workloads import SEQUENCE_WORKLOADS
from .token_workloads import TOKEN_WORKLOADS
from .workloads import MAIN, WORKLOADS, Workload

KNOWN = WORKLOADS | IMAGE_WORKLOADS | SEQUENCE_WORKLOADS | TOKEN_WORKLOADS
# Parameters whose update stays in a core's cache: 840 KB.
CACHED = 30_000
# Seconds between two turns: OpenBLAS's idle threads go on spinning for a tenth after a product.
SETTLE = 0.15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--workloads",
        metavar="A,B",
        help=f"which ones, of {','.join(KNOWN)}, all (fully connected), images or sequences"
        f" (default: {','.join(MAIN)} without large)",
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
        nargs="?",
        const="benchmarks",
        metavar="FOLDER",
        help="let installed libraries take turns too: JAX, PyTorch, TensorFlow, scikit-learn, each in its best forms. They are in"
        " a checkout of backpass: FOLDER is its benchmarks (default: %(const)s, for a shell that stands in a checkout)",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write versions, CPU, settings and every repeat to this file"
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure, print the table as it grows, write the JSON file."""
    for option, low in (("threads", 1), ("repeats", 1), ("seconds", 0)):
        if not getattr(arguments, option) >= low:
            raise ValueError(f"--{option} is {getattr(arguments, option)}, expected at least {low}")
    forced = config.forced_kernels()
    if arguments.peers and forced:
        raise ValueError(f"--peers measures every library as it is shipped, but {forced} is set: unset it")
    workloads = chosen(arguments.workloads, arguments.large)
    names = available_backends()
    # Before everybody is held to the same cores.
    pair = peak.pair(get_backend("native")) if names[0] == "native" and get_num_threads() > 1 else None
    peers = installed_peers(Path(arguments.peers), arguments.threads) if arguments.peers else {}
    if arguments.json:
        open(arguments.json, "a", encoding="utf-8").close()  # complain now, not after minutes
    results: dict[str, Any] = {}
    with config.blas_threads(arguments.threads) as blas:
        about = environment(arguments, blas) | {"two_threads_over_one": pair}
        print(
            f"{about['cpu']}, ISA {about['isa'] or 'none'}, {arguments.threads} thread(s), BLAS threads: {blas}"
            + (f"; forced: {forced}" if forced else "")
        )
        print(
            f"peak {about['peak_gflops']:.0f} GFLOP/s of multiply-adds, memory {about['memory_gigabytes']:.0f} GB/s,"
            f" a core's cache {about['cache_gigabytes']:.0f} GB/s"
            + (f"; two threads reach {pair:.2f} of one: {cores(pair)}" if pair else "")
        )
        print(
            f"µs a step, median of {arguments.repeats} interleaved repeats (spread); times slower than {names[0]}\n"
        )
        for workload in workloads:
            contestants = {name: backend(workload, name, arguments.threads) for name in names}
            if arguments.threads > 1 and names[0] == "native":
                contestants["native, 1 thread"] = backend(workload, "native", 1)
            for name, (_, make, takes) in peers.items():
                if takes(workload):
                    contestants[name] = make(workload, arguments.threads)
            results[workload.name] = measure(workload, contestants, arguments.repeats, arguments.seconds)
            print_rows(workload, results[workload.name], about)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(about | {"workloads": results}, file, indent=1)
        print(f"\nwritten: {arguments.json}")


def cores(pair: float) -> str:
    """Whether two CPUs share a core, by what two threads reach at most: measured, as systems may not tell."""
    return "a core each" if pair > 1.5 else "they share a core, so that others on one slow the other down"


def installed_peers(folder: Path, threads: int) -> dict[str, tuple[str, Make, Callable[[Workload], bool]]]:
    """The peers that are there. JAX reads its flags when it is imported, and takes as many threads as it has cores."""
    if not (folder / "peers").is_dir():
        raise ValueError(
            f"--peers is {folder}, which holds no folder peers: clone backpass, and run this there or name its benchmarks folder"
        )
    if threads == 1:
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])  # everybody on the same cores
    sys.path.insert(0, str(folder.resolve()))
    import peers

    return {name: peer for name, peer in peers.PEERS.items() if peers.available(peer[0])}


def chosen(names: str | None, large: bool) -> list[Workload]:
    """The workloads to run."""
    if names is None:
        return [WORKLOADS[name] for name in MAIN if large or not WORKLOADS[name].slow]
    if names == "images":
        return [*IMAGE_WORKLOADS.values()]
    if names == "sequences":
        return [*SEQUENCE_WORKLOADS.values(), *TOKEN_WORKLOADS.values()]
    if names == "all":
        return [workload for workload in WORKLOADS.values() if large or not workload.slow]
    workload_names = [name.strip() for name in names.split(",") if name.strip()] + (
        ["large"] if large else []
    )
    if unknown := [name for name in workload_names if name not in KNOWN]:
        raise ValueError(f"--workloads names {unknown[0]!r}, expected some of {','.join(KNOWN)}")
    return [KNOWN[name] for name in dict.fromkeys(workload_names)]


def measure(
    workload: Workload, contestants: dict[str, Contestant], repeats: int, seconds: float
) -> dict[str, Any]:
    """Warm all up, then let them take turns; each trains the same number of steps in each of its turns."""
    results: dict[str, Any] = {}
    epochs = {}
    for name, train in contestants.items():
        first_epoch_seconds = train(1)
        epochs[name] = max(1, round(seconds / max(train(1), 1e-9)))
        results[name] = {
            "first_epoch_seconds": first_epoch_seconds,
            "steps": epochs[name] * workload.steps_per_epoch,
            "us_per_step": [],
            "others": [],
        }
    for _ in range(repeats):
        for name, train in contestants.items():
            time.sleep(SETTLE)
            others = Others()
            results[name]["us_per_step"].append(train(epochs[name]) * 1e6 / results[name]["steps"])
            results[name]["others"].append(others.share())
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
        result["gigabytes"] = workload.bytes / middle / 1e3
    about = {"layers": workload.layers, "batch": workload.batch, "loss": workload.loss}
    memory = "cache" if workload.parameters <= CACHED else "memory"  # what a step's traffic is held against
    return about | {"memory": memory, "backends": results}


def print_rows(workload: Workload, result: dict[str, Any], about: dict[str, Any]) -> None:
    """A workload's lines: µs a step, spread, times slower than the first one, shares of the peak and of the bandwidth."""
    print(f"{workload.name} ({'-'.join(map(str, workload.layers))}, batch {workload.batch})")
    peak, bandwidth = about["peak_gflops"], about[f"{result['memory']}_gigabytes"]
    for name, r in result["backends"].items():
        share = f"{100 * r['gflops'] / peak:5.1f} % of the peak, " if peak else ""
        share += f"{100 * r['gigabytes'] / bandwidth:5.1f} % of the {result['memory']}'s speed"
        median = f"{r['median']:12,.1f} µs ({100 * r['spread']:3.0f} %)"
        if count := disturbed(r["others"]):
            share += f"; others were at work in {count} of {len(r['others'])} turns"
        print(f"  {name:<24}{median}{r['ratio']:8.2f}x   {share}", flush=True)


def environment(arguments: argparse.Namespace, blas: str) -> dict[str, Any]:
    """What has to be known to compare two results."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": config.cpu(),
        "isa": config.isas()[0],
        "threads": arguments.threads,
        **peaks(arguments.threads),
        "blas_threads": blas,
        "repeats": arguments.repeats,
        "seconds": arguments.seconds,
        "platform": platform.platform(),
        "versions": config.facts(),
        "blas": config.blas_libraries(),
    }


def peaks(threads: int) -> dict[str, float]:
    """What the machine can do at most on these threads: float32 multiply-adds, an update's traffic, in cache a core's."""
    native = available_backends()[0] == "native"
    return {
        "peak_gflops": peak.gflops(get_backend("native"), threads) if native else 0.0,
        "memory_gigabytes": peak.gigabytes(10_000_000, threads),
        "cache_gigabytes": peak.gigabytes(CACHED),
    }
