"""GFLOP/s and GB/s of every op of the native backend, in cache and out of it, beside the machine's measured peaks.

    python benchmarks/bench_ops.py [--threads N] [--ops a,b] [--json FILE]

Calls are made from the ops' contracts, as the parity tests make them (tests/helpers/samples.py); flops and bytes are the op's own
account (csrc/ops), of which GFLOP/s means most for products and GB/s for all else. Each figure is the best of a few runs.
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass.cli import bench
from backpass.diagnostics import config
from backpass.ops.contract import REGISTRY, Op
from backpass.program import Instruction

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from helpers import samples  # noqa: E402

SIZES = {
    "cached": {
        "*": (128,), "B": 128, "I": 256, "O": 256, "C": 128, "L": 1, "M": 4096, "H": 1, "W": 16, "F": 64, "K": 4,
        "N": 200_000, "P": 13,
    },
    "large": {
        "*": (1024,), "B": 1024, "I": 2048, "O": 2048, "C": 1024, "L": 1, "M": 4_000_000, "H": 2, "W": 2, "F": 1024, "K": 4,
        "N": 25_000_000, "P": 1526,
    },
}  # fmt: skip
# Convolutions of the networks of `bench --workloads images`: images, height, width, channels, window, outputs, stride, padding.
CONVOLUTIONS = {
    "3x3 1 -> 32": (128, 28, 28, 1, 3, 3, 32, 1, 0),
    "3x3 32 -> 64": (128, 13, 13, 32, 3, 3, 64, 1, 0),
    "5x5 1 -> 6": (128, 28, 28, 1, 5, 5, 6, 1, 2),
    "5x5 6 -> 16": (128, 14, 14, 6, 5, 5, 16, 1, 0),
    "3x3 16 -> 16": (64, 32, 32, 16, 3, 3, 16, 1, 1),
    "3x3 16 -> 32, stride 2": (64, 32, 32, 16, 3, 3, 32, 2, 1),
    "3x3 64 -> 64": (64, 8, 8, 64, 3, 3, 64, 1, 1),
    "1x5 9 -> 64": (64, 1, 128, 9, 1, 5, 64, 1, 2),
    "1x5 64 -> 64": (64, 1, 128, 64, 1, 5, 64, 1, 2),
}
PASSES = {"forward": {"y"}, "dW": {"dweight", "dbias"}, "dX": {"dx"}}
ONE_DIMENSION = {"cached": 16_384, "large": 4_000_000}  # of ops that go element by element
SECONDS = 0.05  # of one run
REPEATS = 5


def dims_of(op: Op, size: str) -> dict[str, Any]:
    """The sizes of an op's dimensions; of one with cases of its own those, with few images or many."""
    if "large" in op.samples:
        return op.samples["large"] | {"B": 4 if size == "cached" else 400}
    dims = dict(SIZES[size])
    if {d for array in op.arrays.values() for d in array.dims} <= {"*", "1"}:
        dims["*"] = (ONE_DIMENSION[size],)
    if {"N", "B"} <= {d for array in op.arrays.values() for d in array.dims}:  # gathering rows
        dims["N"] = 8 * dims["B"]
    return dims


def program_of(op: Op, size: str) -> Any:
    """One op at one size, float32, without optional inputs and with the first sample of every scalar."""
    absent = {name for name in op.inputs if op.arrays[name].optional}
    fields = samples.call(op, dims_of(op, size), "float32", absent, samples.scalars(op)[0])
    arrays = {name: np.ascontiguousarray(a) for name, a in fields.items() if isinstance(a, np.ndarray)}
    return bp.get_backend("native").compile([Instruction(op, op.complete(fields | arrays), "")])


def measure(op: Op, size: str, threads: int) -> dict[str, float]:
    """Time and rates of one op at one size."""
    return timed(program_of(op, size), threads)


def timed(program: Any, threads: int) -> dict[str, float]:
    """Time and rates of a program of one op."""
    [(_, flops, moved)] = program.costs()
    program.run(1, threads)
    start = time.perf_counter()
    program.run(1, threads)
    steps = max(1, int(SECONDS / max(time.perf_counter() - start, 1e-7)))
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        program.run(steps, threads)
        best = min(best, (time.perf_counter() - start) / steps)
    return {"us": best * 1e6, "gflops": flops / best / 1e9, "gigabytes": moved / best / 1e9}


def convolution(case: str, wanted: set[str], threads: int) -> dict[str, float]:
    """One pass of a convolution with relu, float32: time, and GFLOP/s of the products that are counted for it."""
    B, H, W, C, KH, KW, O, stride, padding = CONVOLUTIONS[case]
    op = REGISTRY["conv2d_forward" if "y" in wanted else "conv2d_backward"]
    top = padding if KH > 1 else 0
    dims = {
        "B": B, "H": H, "W": W, "C": C, "KH": KH, "KW": KW, "D": C, "O": O, "groups": 1, "stride_h": stride if KH > 1 else 1,
        "stride_w": stride, "top": top, "bottom": top, "left": padding, "right": padding, "activation": "relu",
    }  # fmt: skip
    absent = ({*op.outputs} - wanted) | {"slope"}
    scalars = {name: value for name, value in dims.items() if name in op.scalars}
    fields = samples.call(op, dims, "float32", absent, scalars)
    program = bp.get_backend("native").compile([Instruction(op, op.complete(fields), "")])
    return timed(program, threads)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ops", metavar="A,B", help="default: all")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    names = arguments.ops.split(",") if arguments.ops else sorted(REGISTRY)
    peaks = bench.peaks(arguments.threads)
    print("  ".join(f"{name} {value:.0f}" for name, value in peaks.items()))
    print(f"{'':<24}" + "".join(f"{size + ': µs':>14}{'GFLOP/s':>9}{'GB/s':>8}" for size in SIZES))
    results: dict[str, Any] = {}
    for name in names:
        results[name] = {size: measure(REGISTRY[name], size, arguments.threads) for size in SIZES}
        cells = [f"{r['us']:14,.2f}{r['gflops']:9.1f}{r['gigabytes']:8.1f}" for r in results[name].values()]
        print(f"{name:<24}" + "".join(cells), flush=True)
    convolutions: dict[str, Any] = {}
    if not arguments.ops or "conv2d" in arguments.ops:
        print(f"\n{'convolution':<24}" + "".join(f"{name + ': µs':>16}{'of peak':>9}" for name in PASSES))
        for case in CONVOLUTIONS:
            passes = {name: convolution(case, wanted, arguments.threads) for name, wanted in PASSES.items()}
            convolutions[case] = passes
            cells = [
                f"{r['us']:16,.0f}{100 * r['gflops'] / peaks['peak_gflops']:7.0f} %" for r in passes.values()
            ]
            print(f"{case:<24}" + "".join(cells), flush=True)
    if arguments.json:
        date = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"date": date, "versions": config.facts(), "threads": arguments.threads, **peaks}
        Path(arguments.json).write_text(
            json.dumps(about | {"ops": results, "convolutions": convolutions}, indent=1) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
