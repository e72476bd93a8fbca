"""Random graphs of up to 30 operations: native and Numba against NumPy's program of single steps, and finite differences.

python tests/long/graphs.py --cases 100000 --seed 0
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # helpers
from backpass import available_backends
from helpers import graphs


def main() -> None:
    """Judge every graph; the seed of one that fails is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    backends, failures, start = available_backends(), 0, time.perf_counter()
    for number in range(asked.cases):
        seed = asked.seed * 10**9 + number
        try:
            graphs.judge(seed, backends, differences=number % 10 == 0)
        except AssertionError as error:
            failures += 1
            print(error, flush=True)
        except BaseException:
            print(f"seed {seed}", flush=True)
            raise
    print(
        f"{asked.cases} graphs, seed {asked.seed}: {failures} failures, {time.perf_counter() - start:.0f} s"
    )
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
