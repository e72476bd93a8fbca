"""Peaks of a core's units for bfloat16, by units.c, which the system's C compiler makes into a library first."""

import ctypes
import functools
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("units.c")
UNITS = {"fma": 24, "vdpbf16ps": 24, "amx": 64}  # cycles of a round, about: they say how many rounds to do
REPEATS = 5
CYCLES = 20_000_000  # of a run: a hundredth of a second


def compiler() -> str | None:
    """The compiler that can make units.c; None where there is none, or no x86 under Linux."""
    fits = sys.platform == "linux" and platform.machine() == "x86_64"
    return (shutil.which("cc") or shutil.which("clang")) if fits else None


@functools.cache
def library() -> ctypes.CDLL:
    """units.c, compiled."""
    found = compiler()
    if not found:
        raise RuntimeError("units.c needs a C compiler, and x86 under Linux")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "units.so"
        subprocess.run([found, "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(file)], check=True)
        made = ctypes.CDLL(str(file))
    for unit in UNITS:
        function = getattr(made, f"{unit}_rounds")
        function.argtypes, function.restype = [ctypes.c_long], ctypes.c_long
    return made


def gflops() -> dict[str, float]:
    """The most GFLOP/s of each unit that this CPU has: the best of a few runs."""
    found = {}
    for unit, cycles in UNITS.items():
        run, rounds = getattr(library(), f"{unit}_rounds"), CYCLES // cycles
        operations = run(rounds)
        if not operations:
            continue
        seconds = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            run(rounds)
            seconds.append(time.perf_counter() - start)
        found[unit] = operations * rounds / min(seconds) / 1e9
    return found
