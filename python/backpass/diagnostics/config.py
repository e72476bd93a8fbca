"""bp.show_config(): what this installation is and what it runs on, in a form to paste into a bug report."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._version import __version__
from ..backends import KNOWN, get_backend, threads, why_missing
from ..ops.precision import PRECISIONS
from .text import Text

PEERS = ("numpy", "numba", "scipy", "scikit-learn", "matplotlib", "tqdm", "threadpoolctl")
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# They make other libraries choose other kernels than they would for this CPU.
KERNEL_VARIABLES = (
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA"),
    *("ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES"),
)
VARIABLES = (
    "BACKPASS_BACKEND",
    "BACKPASS_ISA",
    "BACKPASS_UNIT",
    "BACKPASS_CACHES",
    *threads.VARIABLES,
    *BLAS_VARIABLES,
    *KERNEL_VARIABLES,
)


def show_config() -> Text:
    """Configuration: versions, system, CPU, instruction sets, threads, quota and backends.

    Returns a string that a notebook and an interactive Python show as a table; a script prints it.

    Example:
        >>> print(bp.show_config())
        backpass: ...
    """
    return Text("\n".join(f"{name + ':':<15} {value}" for name, value in facts().items()))


def facts() -> dict[str, str]:
    """The lines of show_config, by name."""
    import platform  # here, as below: `import backpass` is to be quick

    from ..system.quota import quota

    libc = " ".join(platform.libc_ver()).strip()
    limit = quota()
    lines = {
        "backpass": f"{__version__} ({os.path.dirname(os.path.dirname(__file__))})",
        "Python": f"{platform.python_version()} {platform.python_implementation()}{_gil()} ({sys.executable})",
        "packages": ", ".join(f"{name} {_version(name)}" for name in PEERS),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}{', ' + libc if libc else ''}",
        "CPU": cpu(),
        "caches": _caches(),
        "CPUs": f"{os.cpu_count()} in the machine, {threads.affinity()} for this process, container quota {limit or 'none'}",
        "threads": str(threads.get_num_threads()),
        "ISA": _isas(),
        "precision": _units(),
        "BLAS": blas(),
        "backend": f"auto is {get_backend().name}",
    }
    for name in KNOWN:
        missing = why_missing(name)
        lines[f"  {name}"] = f"missing: {missing}; to get it: {KNOWN[name][1]}" if missing else "works"
    lines["environment"] = (
        ", ".join(f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ) or "nothing set"
    )
    return lines


def cpu() -> str:
    """The CPU's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine()


def isas() -> tuple[str, list[str]]:
    """The instruction set in use and those that this CPU runs; empty without the native backend."""
    if why_missing("native"):
        return "", []
    from ..backends.native import NativeBackend, available_isas

    return NativeBackend().isa, available_isas()


def blas() -> str:
    """The BLAS that NumPy calls, by NumPy's own account."""
    import numpy as np

    built: Any = np.show_config(mode="dicts")
    library = built.get("Build Dependencies", {}).get("blas", {}) if built else {}
    return f"{library.get('name', 'unknown')} {library.get('version', '')}".strip()


def forced_kernels() -> str:
    """The KERNEL_VARIABLES that are set, with their values; empty if none is."""
    return ", ".join(f"{name}={os.environ[name]}" for name in KERNEL_VARIABLES if name in os.environ)


def blas_libraries() -> list[dict[str, Any]]:
    """The BLAS libraries in this process, if threadpoolctl is installed to tell."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    return [dict(info) for info in threadpool_info()]


@contextmanager
def blas_threads(threads: int) -> Iterator[str]:
    """Hold BLAS to a number of threads; yields what that came to."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield "not limited (needs threadpoolctl)"
        return
    with threadpool_limits(limits=threads, user_api="blas"):
        yield str(threads)


def _isas() -> str:
    used, available = isas()
    return f"{used} in use, available: {', '.join(available)}" if used else "none: no native backend"


def _caches() -> str:
    """The sizes by which the native backend chooses blocks and copies."""
    if why_missing("native"):
        return "none known: no native backend"
    from ..backends.native import caches

    l1, ways, l2 = caches()
    return f"L1 {l1 // 1024} KiB in {ways} ways, L2 {l2 // 1024} KiB"


def _units() -> str:
    """What computes products at each precision below float32."""
    below = [precision for precision in PRECISIONS if precision != "float32"]
    return ", ".join(f"{precision} by {get_backend().unit(precision)}" for precision in below)


def _gil() -> str:
    enabled = getattr(sys, "_is_gil_enabled", None)
    return "" if enabled is None or enabled() else ", free-threaded"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
