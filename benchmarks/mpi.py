"""Ranks of MPI: python benchmarks/mpi.py [--parts allreduce,steps] [--json FILE]

allreduce: microseconds of a bare Allreduce of mpi4py, of `Ranks.sum` with the same buffer, and of the latter with the gradient's
way in and out; 2 and 4 ranks, 1 kB to 10 MB. steps: microseconds of a step of `fit(comm=)`, 1, 2 and 4 ranks, one thread each.
All ranks and contestants take turns in one run; ranks that have no part in a turn sleep. From both parts benchmarks/scaling.py
computes a model of the time of a step, its errors, and what it predicts.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

import backpass as bp
import scaling
from backpass.cli.image_workloads import IMAGES
from backpass.cli.workloads import WORKLOADS
from backpass.diagnostics import config
from backpass.training.ranks import Flags, Ranks

SIZES = [1_000, 10_000, 100_000, 1_000_000, 10_000_000]
# Networks, and the batches that each is measured with; predictions are for the last but one.
BATCHES = {
    "small": (32, 64, 128),
    "mnist": (64, 128, 256),
    "medium": (64, 128, 256),
    "resnet8": (16, 32, 64),
}


def among(ranks: int, work: Callable[[Any], Any]) -> Any:
    """`work(comm)` on the first so many ranks, while the others sleep; returns what each found, None on the others."""
    world = MPI.COMM_WORLD
    comm = world.Split(0 if world.rank < ranks else MPI.UNDEFINED)
    found = None
    if comm != MPI.COMM_NULL:
        found = work(comm)
        comm.Free()
    over = world.Ibarrier()
    while not over.Test():
        time.sleep(0.002)
    return found


def clock(comm: Any, work: Callable[[], Any], times: int) -> float:
    """Microseconds of a call, of so many that begin together."""
    comm.Barrier()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return 1e6 * (time.perf_counter() - start) / times


def sums(size: int, seconds: float, comm: Any) -> dict[str, float]:
    """Medians of short turns of the three contestants with a buffer of so many bytes."""
    ranks, numbers = Ranks(comm, False), size // 4 - len(Flags._fields)
    ranks.begin({}, None, numbers, np.dtype("f4"))
    grads, quiet = np.zeros(numbers, "f4"), Flags()

    def whole() -> None:
        np.multiply(grads, 32.0, out=ranks.own)
        ranks.sum(quiet)
        np.divide(ranks.total, 64.0, out=grads)

    ways = {
        "bare": partial(comm.Allreduce, ranks.sent, ranks.summed),
        "ours": partial(ranks.sum, quiet),
        "with_copies": whole,
    }
    for work in ways.values():
        clock(comm, work, 3)
    times = max(1, min(50, int(0.001 / (1e-6 * comm.bcast(clock(comm, ways["bare"], 3))))))
    turns: dict[str, list[float]] = defaultdict(list)
    end = time.perf_counter() + seconds
    while comm.bcast(time.perf_counter() < end or len(turns["bare"]) < 3):
        for name, work in ways.items():
            turns[name].append(clock(comm, work, times))
    ranks.comm.Free()
    found = {f"{name}_us": statistics.median(each) for name, each in turns.items()}
    pairs = zip(turns["ours"], turns["bare"], strict=True)
    return found | {"ratio": statistics.median(a / b for a, b in pairs)}


class Clock(bp.Callback):
    """Keeps when epochs end, and how much CPU time the process has had."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.ends.append((time.perf_counter(), time.process_time()))


def network(name: str) -> Any:
    """The workload of this name."""
    return WORKLOADS.get(name) or next(w for w in IMAGES if w.name == name)


def epochs(name: str, data: tuple[Any, Any], batch: int, steps: int, comm: Any) -> list[tuple[float, float]]:
    """Of two epochs of so many steps: microseconds a step, and the share of the time in which every rank had a core."""
    watch, (X, y) = Clock(), data
    rows = np.arange(batch * steps) % len(X)
    model = network(name).model("native", 1)
    model.fit(X[rows], y[rows], batch_size=batch, epochs=3, callbacks=[watch], comm=comm)
    # The first epoch began before the clock.
    took = np.diff(watch.ends, axis=0)
    shares = np.min(comm.allgather(took[:, 1] / took[:, 0]), axis=0)
    return [*zip((1e6 * took[:, 0] / steps).tolist(), shares.tolist(), strict=True)]


def undisturbed(turns: list[tuple[float, float]]) -> float:
    """The least of the turns in which the ranks had their cores, or of the third of all turns in which they had most of them."""
    most = sorted((share for _, share in turns), reverse=True)[len(turns) // 3]
    return min(us for us, share in turns if share >= min(most, 0.97))


def median_of(turns: list[tuple[float, float]]) -> float:
    return statistics.median(us for us, _ in turns)


def steps(names: list[str], counts: list[int], turns: int, seconds: float) -> dict[str, Any]:
    """Of a step, by network, ranks and batch: the median of all turns, and the least of those that others left alone."""
    found: dict[str, Any] = {}
    for name in names:
        batches = BATCHES[name]
        data = tuple(array[: batches[-1]] for array in network(name).data())
        took: dict[tuple[int, int], list[tuple[float, float]]] = {
            (n, batch): [] for n in counts for batch in batches
        }
        for _ in range(turns):
            for (ranks, batch), each in took.items():
                # As many as the time allows, by the least of the turns before.
                guess = MPI.COMM_WORLD.bcast(min(each, default=(0.0, 0.0))[0])
                number = max(1, min(300, int(seconds / (1e-6 * guess)))) if guess else 1
                each += among(ranks, partial(epochs, name, data, batch, number)) or []
        # Two epochs a turn; those of the first, of a step each, told how many there are in the others.
        kept = {key: each[2:] or each for key, each in took.items() if each}
        flat = network(name).model("native", 1).engine.flat
        found[name] = {"batch": batches[1], "parameters": flat.size, "bytes": flat.params.nbytes}
        for column, way in (("us", undisturbed), ("median_us", median_of)):
            found[name][column] = {
                str(n): {str(batch): way(kept[n, batch]) for batch in batches if (n, batch) in kept}
                for n in counts
            }
    return found


def adding(size: int = 1_000_000) -> float:
    """Microseconds to add up a byte, as each rank of a sum does."""
    a, b = np.zeros(size // 4, "f4"), np.zeros(size // 4, "f4")
    return min(clock(MPI.COMM_SELF, lambda: np.add(a, b, out=a), 20) for _ in range(5)) / size


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """What every rank does; rank 0 has it all."""
    found: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "add_us_per_byte": adding()}
    counts = [n for n in (1, 2, 4) if n <= asked.ranks]
    if "allreduce" in asked.parts:
        found["allreduce"] = {
            str(n): {str(size): among(n, partial(sums, size, 0.5 * asked.share)) for size in SIZES}
            for n in counts[1:]
        }
    if "steps" in asked.parts:
        found["steps"] = steps(asked.networks.split(","), counts, asked.turns, 0.05 * asked.share)
    return found


def table(found: dict[str, Any]) -> None:
    """Print it."""
    for ranks, sizes in found.get("allreduce", {}).items():
        for size, each in sizes.items():
            print(
                f"{ranks} ranks, {int(size):>10,} bytes: bare {each['bare_us']:9.1f} us, ours {each['ours_us']:9.1f}"
                f" ({each['ratio']:.2f}x), with copies {each['with_copies_us']:9.1f}"
            )
    for name, one in found.get("steps", {}).items():
        for ranks, runs in one["us"].items():
            print(f"{name}, {ranks} ranks: " + ", ".join(f"{b} rows {us:.1f} us" for b, us in runs.items()))
    for check in found.get("model", {}).get("checks", []):
        print(
            "{network}, {ranks} ranks, {batch} rows: {us:.0f} us, model {model_us:.0f}, {error:+.0%}".format(
                **check
            )
        )


def main() -> None:
    """Start the ranks, or be one of them; what a file has of other parts stays there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="allreduce,steps")
    parser.add_argument("--networks", default=",".join(BATCHES))
    parser.add_argument("--ranks", type=int, default=4, help="at most")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--share", type=float, default=1.0, help="of the time of a turn")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rank-of", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.rank_of:
        found = measure(asked)
        if MPI.COMM_WORLD.rank == 0:
            asked.rank_of.write_text(json.dumps(found))
        return
    beside = str(Path(sys.executable).parent)
    mpiexec = shutil.which("mpiexec", path=beside) or shutil.which("mpiexec")
    if mpiexec is None:
        sys.exit("there is no mpiexec: pip install mpich")
    found = json.loads(asked.json.read_text()) if asked.json and asked.json.exists() else {}
    if asked.parts:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "found.json"
            command = [mpiexec, "-n", str(asked.ranks), sys.executable, *sys.argv, "--rank-of", str(file)]
            subprocess.run(command, check=True)
            new = json.loads(file.read_text())
            found |= new | {"steps": found.get("steps", {}) | new.get("steps", {})}
        found |= {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "cpu": config.cpu(),
            "versions": config.facts() | {"MPI": " ".join(MPI.Get_library_version().splitlines()[0].split())},
        }
    if {"allreduce", "steps"} <= found.keys():
        fitted = scaling.constants(found)
        found["model"] = {
            "fitted": scaling.FITTED,
            "constants": fitted,
            "checks": scaling.checks(found, fitted),
            "predictions": scaling.predictions(found, fitted),
        }
    table(found)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
