"""Instructions of one native training step, counted by valgrind: a guard against slow regressions that no noise can move.

    python benchmarks/instructions.py            compare with benchmarks/results/instructions.json; fails where one grew by > 3 %
    python benchmarks/instructions.py --record   write that file

Two calls of `fit` differ only in their number of steps, so the difference is that of the steps. valgrind knows no AVX-512:
counted is AVX2. Counts belong to a compiler: with another one than the file's there is nothing to compare, and it says so.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results" / "instructions.json"
GROWTH = 1.03
STEPS = {"tiny": 200, "rl": 100, "small": 20, "sb3": 20, "tabular": 4}
MARK = "backpass_set_num_threads"  # the module exports it (for threadpoolctl): valgrind writes a part of its count at each call
RUN = f"""
import ctypes, numpy as np, backpass as bp
from backpass import _core
from backpass.workloads import WORKLOADS
mark = ctypes.CDLL(_core.__file__).{MARK}
for name, steps in {STEPS}.items():
    workload = WORKLOADS[name]
    rng, rows = np.random.default_rng(0), 2 * workload.batch
    X = rng.standard_normal((rows, workload.layers[0]), np.float32)
    y = rng.integers(0, workload.layers[-1], rows)
    y = np.eye(workload.layers[-1], dtype=np.float32)[y] if workload.loss == "mse" else y
    model = workload.model("native", 1)
    assert model.backend.isa == "avx2", model.backend.isa
    model.fit(X, y, batch_size=workload.batch)
    mark(1)
    model.fit(X, y, epochs=steps // 2, batch_size=workload.batch)
    mark(1)
    model.fit(X, y, epochs=3 * steps // 2, batch_size=workload.batch)
    mark(1)
"""


def counts() -> dict[str, int]:
    """Instructions of one step of every workload."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "PYTHONHASHSEED": "0",
            "OPENBLAS_NUM_THREADS": "1",
            "BACKPASS_ISA": "avx2",
        }
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--dump-before={MARK}",
            f"--callgrind-out-file={folder}/out",
        ]
        done = subprocess.run(
            [*command, sys.executable, "-c", RUN],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        parts = [
            int(found[1])
            for file in sorted(Path(folder).glob("out.*"), key=lambda file: int(file.suffix[1:]))
            if (found := re.search(r"^(?:totals|summary): (\d+)", file.read_text(), re.MULTILINE))
        ]
    if done.returncode or len(parts) < 3 * len(STEPS):
        raise RuntimeError(f"valgrind failed ({len(parts)} parts):\n{done.stderr[-3000:]}")
    return {
        name: round((parts[3 * k + 2] - parts[3 * k + 1]) / (2 * steps))
        for k, (name, steps) in enumerate(STEPS.items())
    }


def compiler() -> str:
    """What compiled the module, as far as the module tells."""
    from backpass import _core

    return f"{_core.compiler} {platform.machine()}"


def main() -> int:
    """Count, print, compare or record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true")
    record = parser.parse_args().record
    found = counts()
    if record:
        RESULTS.write_text(
            json.dumps({"compiler": compiler(), "instructions": found}, indent=1) + "\n", "utf-8"
        )
    known = json.loads(RESULTS.read_text("utf-8"))
    if known["compiler"] != compiler():
        print(f"compiled by {compiler()}, recorded with {known['compiler']}: nothing to compare")
        known["instructions"] = {}
    grown = []
    for name, now in found.items():
        before = known["instructions"].get(name)
        print(
            f"{name:<10}{now:12,} instructions a step"
            + (f"   {now / before:.3f} of before" if before else "")
        )
        if before and now > GROWTH * before:
            grown.append(name)
    if grown:
        print(
            f"more instructions than before: {', '.join(grown)}. If that is meant, run with --record and say why."
        )
    return bool(grown)


if __name__ == "__main__":
    sys.exit(main())
