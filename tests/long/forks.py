"""Fork after fit, and fit in the child: the same bits, in the time that the parent takes.

    python tests/long/forks.py --forks 100 --threads 2

A child that has not finished within ten times the parent's time plus five seconds has hung: it is killed, and the run fails.
"""

import argparse
import os
import signal
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # test_processes
from test_processes import train


def child(backend: str, threads: int, expected: bytes, limit: float) -> float:
    """Seconds that a forked child took for the same fit."""
    start = time.perf_counter()
    number = os.fork()
    if not number:
        os._exit(train(0, backend, threads) != expected)
    while True:
        done, status = os.waitpid(number, os.WNOHANG)
        seconds = time.perf_counter() - start
        if done:
            assert status == 0, f"the child's bits differ, or it crashed: status {status}"
            return seconds
        if seconds > limit:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
            raise AssertionError(f"the child hung: {seconds:.1f} s")
        time.sleep(0.001)


def main() -> None:
    """Print the times of parent and children."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forks", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend", default="auto")
    asked = parser.parse_args()
    warnings.simplefilter(
        "ignore", DeprecationWarning
    )  # Python 3.12 and newer: the process is multi-threaded
    train(0, asked.backend, asked.threads)
    start = time.perf_counter()
    expected = train(0, asked.backend, asked.threads)
    parent = time.perf_counter() - start
    took = sorted(child(asked.backend, asked.threads, expected, 10 * parent + 5) for _ in range(asked.forks))
    print(
        f"{asked.forks} of {asked.forks} children finished with the parent's bits; parent {parent * 1e3:.1f} ms,"
        f" children {took[len(took) // 2] * 1e3:.1f} ms (median), {took[-1] * 1e3:.1f} ms (slowest)"
    )


if __name__ == "__main__":
    main()
