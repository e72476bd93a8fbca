"""Random convolutions and pooling of any geometry: native on every instruction set, and Numba, against NumPy in float64.

python tests/long/windows.py --cases 100000 --seed 0
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # helpers
from helpers import windows


def main() -> None:
    """Judge so many cases whose sizes fit; what fails is told with its seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    native = [name for name in windows.BACKENDS if name != "numpy"]
    failures, done, number, start = 0, 0, 0, time.perf_counter()
    while done < asked.cases:
        seed, number = asked.seed * 10**9 + number, number + 1
        try:
            done += windows.judge(seed, native)
        except AssertionError as error:
            failures, done = failures + 1, done + 1
            print(error, flush=True)
        except BaseException:
            print(f"seed {seed}", flush=True)
            raise
    print(f"{done} windows, seed {asked.seed}: {failures} failures, {time.perf_counter() - start:.0f} s")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
