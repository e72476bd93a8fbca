"""Which CPU a thread computes on."""

import contextlib
import os


def move_to_cpu(number: int) -> None:
    """Move the calling thread to one of the CPUs of the process, `number` counting around them; from there it may go anywhere.

    Linux starts a thread on the CPU of its parent. In virtual machines, whose CPUs seem to share no cache, it leaves it there for
    seconds, even if another CPU is idle: two threads then take as long as one.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    cpus = sorted(os.sched_getaffinity(0))
    # A container may forbid it: the thread then stays where it is.
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {cpus[number % len(cpus)]})
        os.sched_setaffinity(0, cpus)
