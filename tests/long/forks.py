"""Fork after fit, and fit in the child: the same bits, in the time that the parent takes in the same state.

    python tests/long/forks.py --forks 100 --threads 2

A fork leaves parent and child with one copy of all pages; whoever writes to them first has them copied by the system, some
thousand page faults that no library can spare either of them. So in every round the parent forks, and trains before anybody else
does, while its child waits; then it forks again, and that child trains first. All children finish within the parent's slowest
time; as other processes may take the machine in between, a slower one may try again, a few times. A child that has not finished
within a hundred times the parent's time plus five seconds has hung: it is killed, and the run fails.
"""

import argparse
import os
import select
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # test_processes
from test_processes import train

TRIES = 5


def forked(work: Callable[[], float]) -> tuple[int, int]:
    """A child that does it: its id, and where to read what came out; 8 bytes less if it raised."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, struct.pack("d", work()))
        finally:
            os._exit(0)
    os.close(write)
    return child, read


def answer(child: int, read: int, limit: float) -> float:
    """What a child found; AssertionError where it hangs or fails."""
    try:
        if not select.select([read], [], [], limit)[0]:
            os.kill(child, signal.SIGKILL)
            raise AssertionError(f"the child hung: more than {limit:.1f} s")
        data = os.read(read, 8)
        assert len(data) == 8, "the child's bits differ, or it crashed"
        return float(struct.unpack("d", data)[0])
    finally:
        os.close(read)
        os.waitpid(child, 0)


def spread(times: list[float]) -> str:
    """Median and slowest, in ms."""
    return f"{sorted(times)[len(times) // 2] * 1e3:.1f} ms (median), {max(times) * 1e3:.1f} ms (slowest)"


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
    expected = train(0, asked.backend, asked.threads)

    def timed() -> float:
        start = time.perf_counter()
        assert train(0, asked.backend, asked.threads) == expected
        return time.perf_counter() - start

    alone = [timed() for _ in range(10)]
    parents, children, within, at_once = [], [], 0, 0

    def in_time() -> bool:
        wait, go = os.pipe()
        idle = forked(lambda: float(len(os.read(wait, 1))))
        parents.append(timed())
        os.write(go, b"x")
        answer(*idle, 5)
        os.close(wait), os.close(go)
        children.append(answer(*forked(timed), 100 * parents[-1] + 5))
        return children[-1] <= max(parents)

    for _ in range(asked.forks):
        tries = [in_time()]
        while not tries[-1] and len(tries) < TRIES:
            tries.append(in_time())
        within, at_once = within + tries[-1], at_once + tries[0]
    print(
        f"{len(children)} of {len(children)} children finished with the parent's bits in {spread(children)}; the parent,"
        f" right after a fork: {spread(parents)}, else {spread(alone)}; {within} of {asked.forks} within the parent's"
        f" slowest, {at_once} at the first try"
    )
    middle = len(children) // 2
    assert sorted(children)[middle] <= 1.5 * sorted(parents)[middle], "the children are slower"
    assert within == asked.forks, "children are slower than the parent's slowest"


if __name__ == "__main__":
    main()
