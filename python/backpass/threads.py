"""How many threads the native backend may use: what the environment says, else what this process is allowed to use."""

import os

from . import backends
from .checks import is_whole
from .threadpools import register

VARIABLES = ("BACKPASS_NUM_THREADS", "OMP_NUM_THREADS")  # the first one that is set counts
MOST = 1024  # more is a mistake, and would be one stack each

_chosen = 0  # 0: nobody has asked yet


def get_num_threads() -> int:
    """The most threads that a model without `threads=` of its own uses.

    Set by `set_num_threads`, else BACKPASS_NUM_THREADS, else OMP_NUM_THREADS, else CPU affinity and container quota.
    """
    if not _chosen:
        set_num_threads(default_num_threads())
    register()  # threadpoolctl may have been imported by now
    return backends.get_num_threads() or _chosen


def set_num_threads(n: int) -> None:
    """Choose the most threads to use from now on, an integer of at least 1. Results do not depend on it, to the bit."""
    global _chosen
    if not is_whole(n) or not 1 <= n <= MOST:
        raise ValueError(f"n is {n!r}, expected an integer from 1 to {MOST}")
    _chosen = int(n)
    backends.set_num_threads(_chosen)


def default_num_threads() -> int:
    """What the environment says, else the CPUs that this process may run on, cut to the container's quota."""
    for variable in VARIABLES:
        if text := os.environ.get(variable, "").strip():
            return _parse(variable, text)
    from .quota import quota  # here: `import backpass` is to be quick

    limit = quota()
    return affinity() if limit is None else max(1, min(affinity(), int(limit)))  # rounded down: see quota()


def affinity() -> int:
    """The number of CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parse(variable: str, text: str) -> int:
    first = text.split(",")[0].strip()  # OMP_NUM_THREADS may list nested levels: "4,2"
    if not first.isascii() or not first.isdigit() or not 1 <= int(first) <= MOST:
        raise ValueError(
            f"the environment variable {variable} is {text!r}, expected an integer from 1 to {MOST}"
        )
    return int(first)
