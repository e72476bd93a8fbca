"""How many threads the native backend may use: what the environment says, else the CPUs of this process."""

import os
import sys
from operator import index
from typing import Any

from .._version import __version__
from ..checks import is_whole, whole
from .choice import native_threads

# The first variable that is set counts.
VARIABLES = ("BACKPASS_NUM_THREADS", "OMP_NUM_THREADS")
# More threads are a mistake, and would be one stack each.
MOST = 1024

# 0: nobody has asked yet.
_chosen = 0
_registered = False


def get_num_threads() -> int:
    """The most threads that a model without `threads=` of its own uses.

    Set by `set_num_threads`, else BACKPASS_NUM_THREADS, else OMP_NUM_THREADS, else CPU affinity and container quota.

    Raises:
        ValueError: one of these variables holds no number of threads.

    Example:
        >>> bp.get_num_threads() >= 1
        True
    """
    if not _chosen:
        set_num_threads(default_num_threads())
    register()  # threadpoolctl may have been imported by now
    return native_threads() or _chosen


def set_num_threads(n: int) -> None:
    """Choose the most threads to use from now on. Results do not depend on it, to the bit.

    Args:
        n: an integer from 1 to 1024.

    Raises:
        ValueError: another n.

    Example:
        >>> bp.set_num_threads(1)
    """
    global _chosen
    if not is_whole(n) or not 1 <= n <= MOST:
        raise ValueError(f"n is {n!r}, expected an integer from 1 to {MOST}")
    _chosen = int(n)
    native_threads(_chosen)


def checked_threads(value: Any) -> int:
    """A model's `threads`: None becomes 0, the default at the time of the run."""
    return 0 if value is None else whole("threads", value, 1, MOST, "None or an integer")


def default_num_threads() -> int:
    """What the environment says, else the CPUs that this process may run on, cut to the container's quota."""
    for variable in VARIABLES:
        if text := os.environ.get(variable, "").strip():
            return _parse(variable, text)
    from ..system.quota import quota  # here: `import backpass` is to be quick

    limit = quota()
    return affinity() if limit is None else max(1, min(affinity(), int(limit)))  # rounded down: see quota()


def affinity() -> int:
    """The number of CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parse(variable: str, text: str) -> int:
    outermost = text.split(",")[0].strip()  # OMP_NUM_THREADS may list nested levels: "4,2"
    if not outermost.isascii() or not outermost.isdigit() or not 1 <= int(outermost) <= MOST:
        raise ValueError(
            f"the environment variable {variable} is {text!r}, expected an integer from 1 to {MOST}"
        )
    return int(outermost)


def register() -> None:
    """Make backpass known to threadpoolctl, if that is loaded: `threadpool_limits(1)` holds our threads, too."""
    global _registered
    module = sys.modules.get("threadpoolctl")
    if _registered or not hasattr(module, "register"):
        return
    from threadpoolctl import LibController

    class BackpassController(LibController):  # type: ignore[misc,unused-ignore]
        """What threadpoolctl needs: names of the module's file, its symbols, and three functions."""

        user_api = internal_api = "backpass"
        filename_prefixes = ("_core",)
        check_symbols = ("backpass_get_num_threads", "backpass_set_num_threads")

        def get_num_threads(self) -> int | None:
            """The most threads of a model that does not say how many."""
            get = self._get_symbol("backpass_get_num_threads")
            return None if get is None else int(get())

        def set_num_threads(self, num_threads: int) -> None:
            """Choose that number; TypeError for what is no integer, whose address ctypes might hand over."""
            if (set_ := self._get_symbol("backpass_set_num_threads")) is not None:
                set_(max(1, min(index(num_threads), MOST)))

        def get_version(self) -> str:
            """The version of the package: the module has none of its own."""
            return __version__

    module.register(BackpassController)  # type: ignore[union-attr]
    _registered = True
