"""Instructions of native training steps, counted by valgrind: a guard against slow regressions that no noise can move.

    python benchmarks/instructions.py            compare with benchmarks/results/instructions.json; fails where they grew by > 2 %
    python benchmarks/instructions.py --record   write that file

Counted is a round of steps of several workloads (MIX): two processes differ only in their number of rounds. Nothing in it depends
on time or addresses: `fit` returns to Python after a whole epoch, not after 50 ms, and garbage is not collected. valgrind knows
no AVX-512, so it is AVX2. Counts belong to a compiler: with another one than the file's there is nothing to compare, and it
says so.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results" / "instructions.json"
GROWTH = 1.02
MIX = {"tiny": 40, "rl": 20, "small": 4, "sb3": 8, "tabular": 2}  # steps of each in a round
ROUNDS = 2, 8
RUN = f"""
import gc, sys, numpy as np, backpass as bp
from backpass.cli.workloads import WORKLOADS
from backpass.training import loops
loops.SLICE_SECONDS = 1e9
for name, steps in {MIX}.items():
    workload = WORKLOADS[name]
    rng, rows = np.random.default_rng(0), 2 * workload.batch
    X = rng.standard_normal((rows, workload.layers[0]), np.float32)
    y = rng.integers(0, workload.layers[-1], rows)
    y = np.eye(workload.layers[-1], dtype=np.float32)[y] if workload.loss == "mse" else y
    model = workload.model("native", 1)
    assert model.backend.isa == "avx2", model.backend.isa
    model.fit(X, y, batch_size=workload.batch)
    gc.disable()
    for _ in range(int(sys.argv[1])):
        model.fit(X, y, epochs=steps // 2, batch_size=workload.batch)
"""


def count(rounds: int) -> int:
    """Instructions of a whole process that trains so many rounds."""
    environment = os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "BACKPASS_ISA": "avx2"}
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    done = subprocess.run(
        [*command, sys.executable, "-c", RUN, str(rounds)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise RuntimeError(f"valgrind failed:\n{done.stderr[-3000:]}")
    return int(found[1])


def compiler() -> str:
    """What compiled the module."""
    from backpass import _core

    return f"{_core.compiler} {platform.machine()}"


def main() -> int:
    """Count, print, compare or record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true")
    record = parser.parse_args().record
    with ThreadPoolExecutor(2) as pool:
        few, many = pool.map(count, ROUNDS)
    now = round((many - few) / (ROUNDS[1] - ROUNDS[0]))
    print(f"{now:,} instructions a round of {MIX}")
    if record:
        RESULTS.write_text(
            json.dumps({"compiler": compiler(), "mix": MIX, "instructions": now}, indent=1) + "\n", "utf-8"
        )
        return 0
    known = json.loads(RESULTS.read_text("utf-8"))
    if (known["compiler"], known["mix"]) != (compiler(), MIX):
        print(
            f"recorded with {known['compiler']} and {known['mix']}, this is {compiler()}: nothing to compare"
        )
        return 0
    print(f"{now / known['instructions']:.4f} of what was recorded")
    if now > GROWTH * known["instructions"]:
        print(
            "more instructions than before. If that is meant, run with --record and say why in benchmarks/LOG.md."
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
