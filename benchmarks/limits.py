"""How near the native backend comes to what limits it, one thread unless said otherwise.

    python benchmarks/limits.py [--parts peak,avx2,bf16,memory,cache,threads] [--json FILE]

peak, avx2: share of the core's measured multiply-adds that training reaches (avx2: a new process with BACKPASS_ISA=avx2).
bf16: the peaks of VDPBF16PS and AMX where the CPU has them (units.c, compiled with the system's `cc`), and training's share.
memory: an Adam update of 25 million parameters against the plainest loop with the same traffic, compiled by Numba.
cache: updates of 200,000 parameters, the native kernel alone against torch's `optimizer.step()` with its Python (Adam fused;
RMSprop the faster of its two forms).
threads: the automatic choice with all CPUs against one thread, every workload.
The two sides take turns; ratios are medians of the pairs with quartiles. A part whose rival is not installed is left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import bench_ops
import units
from backpass import get_backend
from backpass.backends.precision import Precision
from backpass.backends.threads import default_num_threads
from backpass.cli import peak
from backpass.cli.workloads import WORKLOADS
from backpass.diagnostics import config
from backpass.ops.contract import REGISTRY

PAIRS = 15
SHARES = ("rl", "small", "mnist", "medium", "large")
SECONDS = 0.1  # of one side of a pair


def seconds_of(run: Callable[[int], object], times: int) -> float:
    """Seconds of one of `times` runs."""
    start = time.perf_counter()
    run(times)
    return (time.perf_counter() - start) / times


def compare(
    run: Callable[[int], object], rival: Callable[[int], object], pairs: int = PAIRS
) -> dict[str, Any]:
    """The rival's time over ours: median and quartiles of pairs that take turns at going first."""
    sides = {"ours": run, "rival": rival}
    times = {
        side: max(1, round(SECONDS / max(seconds_of(f, 1), seconds_of(f, 1), 1e-7)))
        for side, f in sides.items()
    }
    took: dict[str, list[float]] = {side: [] for side in sides}
    for pair in range(pairs):
        for side in sides if pair % 2 else reversed(sides):
            took[side].append(seconds_of(sides[side], times[side]))
    low, middle, high = statistics.quantiles([b / a for a, b in zip(*took.values(), strict=True)], n=4)
    return {"ratio": middle, "quartiles": [low, high], "us": statistics.median(took["ours"]) * 1e6}


def fits(name: str, threads: int, precision: Precision | None = None) -> Callable[[int], object]:
    """Epochs of a workload; of large ones a few steps each."""
    workload = WORKLOADS[name]
    model, (X, y) = workload.model("native", threads), workload.data()
    model.precision = precision
    rows = workload.batch * (8 if workload.slow else workload.steps_per_epoch)
    return lambda epochs: model.fit(X[:rows], y[:rows], epochs=epochs, batch_size=workload.batch)


def shares(
    names: tuple[str, ...],
    most_of: Callable[[], float] = lambda: peak.gflops(get_backend("native")),
    precision: Precision | None = None,
) -> dict[str, Any]:
    """Share of the measured peak, which is measured before and after."""
    found = {}
    for name in names:
        run, workload = fits(name, 1, precision), WORKLOADS[name]
        steps = 8 if workload.slow else workload.steps_per_epoch
        run(1)
        before = most_of()
        took = statistics.median(seconds_of(run, 1) for _ in range(PAIRS // 2)) / steps
        reached, most = workload.flops / took / 1e9, max(before, most_of())
        found[name] = {"gflops": reached, "peak": most, "share": reached / most}
    return found


def bf16(names: tuple[str, ...]) -> dict[str, Any]:
    """The peaks of the units that multiply bfloat16, and the share of one that training with precision="bf16" reaches."""
    peaks = units.gflops()
    found: dict[str, Any] = {unit: {"peak": most} for unit, most in peaks.items()}
    used = get_backend("native").unit("bf16")
    if used in peaks:
        found |= shares(names, lambda: units.gflops()[used], "bf16")
    return found


def avx2(names: tuple[str, ...]) -> dict[str, Any]:
    """`shares` on the AVX2 kernels."""
    code = f"import json, limits; print(json.dumps(limits.shares({names})))"
    environment = os.environ | {"BACKPASS_ISA": "avx2", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def memory(_: tuple[str, ...]) -> dict[str, Any]:
    """Adam beside a loop that reads and writes the same arrays and does next to nothing."""
    import numba

    @numba.njit(fastmath=True)  # type: ignore[untyped-decorator]
    def touch(p, g, m, v, times):  # type: ignore[no-untyped-def]
        for _ in range(times):
            for i in range(p.size):
                p[i] += g[i]
                m[i] += g[i]
                v[i] += g[i]

    arrays = [np.ones(25_000_000, np.float32) for _ in range(4)]
    program = bench_ops.program_of(REGISTRY["adam_step"], "large")
    found = compare(lambda times: program.run(times, 1), lambda times: touch(*arrays, times))
    return {"adam": found | {"gigabytes": 28 * 25e6 / found["us"] / 1e3}}


def cache(_: tuple[str, ...]) -> dict[str, Any]:
    """Updates in cache beside torch's."""
    import torch

    torch.set_num_threads(1)

    def rival(make: Callable[[Any], Any]) -> Callable[[int], object]:
        parameter = torch.nn.Parameter(torch.randn(200_000))
        parameter.grad = torch.randn(200_000)
        optimizer = make([parameter])
        return lambda times: [optimizer.step() for _ in range(times)]

    rivals = {
        "adam": [lambda p: torch.optim.Adam(p, fused=True)],
        "rmsprop": [lambda p, each=each: torch.optim.RMSprop(p, foreach=each) for each in (False, True)],
    }
    found = {}
    for name, forms in rivals.items():
        program = bench_ops.program_of(REGISTRY[f"{name}_step"], "cached")
        ours: Callable[[int], object] = lambda times, program=program: program.run(times, 1)  # noqa: E731
        found[name] = min((compare(ours, rival(form)) for form in forms), key=lambda r: r["ratio"])
    return found


def threads(names: tuple[str, ...]) -> dict[str, Any]:
    """One thread's time over that of the automatic choice."""
    return {name: compare(fits(name, default_num_threads()), fits(name, 1)) for name in names}


PARTS: dict[str, Callable[[tuple[str, ...]], dict[str, Any]]] = {
    "peak": shares, "avx2": avx2, "bf16": bf16, "memory": memory, "cache": cache, "threads": threads,
}  # fmt: skip
NEEDS = {"memory": "numba", "cache": "torch"}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument(
        "--workloads",
        metavar="A,B",
        help="of peak, avx2, bf16 and threads (default: all; tiny has no share of a peak)",
    )
    parser.add_argument("--json", metavar="FILE", help="parts are added to those that the file holds")
    arguments = parser.parse_args()
    asked = arguments.workloads.split(",") if arguments.workloads else []
    about = {"versions": config.facts(), "date": time.strftime("%Y-%m-%d")}
    file = Path(arguments.json) if arguments.json else None
    results: dict[str, Any] = json.loads(file.read_text("utf-8")) if file and file.exists() else {}
    for part in arguments.parts.split(","):
        if part == "bf16" and not units.compiler():
            print("bf16: there is no C compiler, or no x86")
            continue
        if not find_spec(NEEDS.get(part, "numpy")):
            print(f"{part}: {NEEDS[part]} is not installed")
            continue
        names = tuple(asked or (WORKLOADS if part == "threads" else SHARES))
        results[part] = about | {"results": PARTS[part](names)}
        for name, figures in results[part]["results"].items():
            print(
                f"{part:<9}{name:<10}" + "  ".join(f"{key} {value}" for key, value in shown(figures)),
                flush=True,
            )
        if file:
            file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def shown(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures, rounded."""
    return [
        (key, " to ".join(f"{v:.3g}" for v in value) if isinstance(value, list) else f"{value:.3g}")
        for key, value in figures.items()
    ]


if __name__ == "__main__":
    main()
