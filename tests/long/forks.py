"""Fork after fit, and fit in the child: the same bits, in the time that the parent takes.

    python tests/long/forks.py --forks 100 --threads 2

In every round the parent trains, forks, and the child trains. What a child costs is its CPU time, that of its threads included:
unlike the time on the clock it does not grow when other processes take the machine. No child may cost more than the slowest of
the parent's runs and a tenth: that is for the pages that the two share after a fork, some 1,500 for the system to copy (5 ms),
and for threads that wait for each other. On the clock the typical child has to keep that limit, too. A child that has not
finished within a hundred times the parent's time plus five seconds has hung: it is killed, and the run fails.
"""

import argparse
import os
import resource
import select
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # helpers
from helpers.processes import train

EPOCHS = 200  # 0.2 s
LIMIT = 1.1
Times = tuple[float, float]  # seconds on the clock, seconds of CPU


def forked(work: Callable[[], Times]) -> tuple[int, int]:
    """A child that does it: its id, and where to read what came out; nothing if it raised."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, struct.pack("2d", *work()))
        finally:
            os._exit(0)
    os.close(write)
    return child, read


def answer(child: int, read: int, limit: float) -> Times:
    """What a child found; AssertionError where it hangs or fails."""
    try:
        if not select.select([read], [], [], limit)[0]:
            os.kill(child, signal.SIGKILL)
            raise AssertionError(f"the child hung: more than {limit:.1f} s")
        data = os.read(read, 16)
        assert len(data) == 16, "the child's bits differ, or it crashed"
        clock, cpu = struct.unpack("2d", data)
        return clock, cpu
    finally:
        os.close(read)
        os.waitpid(child, 0)


def cpu_seconds() -> float:
    """Of this process, all of its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def spread(times: list[float]) -> str:
    """Median and slowest, in ms."""
    return f"{median(times) * 1e3:.1f} ms (median), {max(times) * 1e3:.1f} ms (slowest)"


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
    expected = train(0, asked.backend, asked.threads, EPOCHS)

    def timed() -> Times:
        start, used = time.perf_counter(), cpu_seconds()
        assert train(0, asked.backend, asked.threads, EPOCHS) == expected
        return time.perf_counter() - start, cpu_seconds() - used

    parents = [timed() for _ in range(5)]
    children = []
    for _ in range(asked.forks):
        parents.append(timed())
        children.append(answer(*forked(timed), 100 * parents[-1][0] + 5))
    (clock, cpu), (child_clock, child_cpu) = ([*map(list, zip(*t, strict=True))] for t in (parents, children))
    within = sum(each <= LIMIT * max(cpu) for each in child_cpu)
    print(
        f"{len(children)} of {asked.forks} children finished with the parent's bits; CPU: {spread(child_cpu)}, the parent"
        f" {spread(cpu)}; on the clock: {spread(child_clock)}, the parent {spread(clock)}; {within} within {LIMIT} of the"
        f" parent's slowest CPU time, {sum(each <= LIMIT * max(clock) for each in child_clock)} on the clock"
    )
    assert within == asked.forks, "children cost more than the parent's slowest run"
    assert median(child_clock) <= LIMIT * median(clock), "the children are slower"


if __name__ == "__main__":
    main()
