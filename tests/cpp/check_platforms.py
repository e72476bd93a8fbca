"""Kernels, ops and runtime by another system's own headers: parsed by Clang, nothing is built. `nox -s platforms` calls it.

Arguments name the systems to check: without any all are.
The package `ziglang` has the headers of these systems, and libc++. The bindings are left out: they include Python's headers.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ziglang

CSRC = Path(__file__).resolve().parents[2] / "csrc"
LIBRARY = Path(ziglang.__file__).parent / "lib"
ROWS = {
    "x86_64": {"baseline": "x86-64-v2", "avx2": "x86-64-v3", "avx512": "x86-64-v4"},
    "aarch64": {"neon": ""},
}
MUSL = ("generic-musl", "any-linux-any")
# The folders of the system's headers below libc/include.
SYSTEMS = {
    "aarch64-apple-macosx11.0": ("any-darwin-any",),
    "aarch64-linux-musl": ("aarch64-linux-musl", *MUSL, "aarch64-linux-any"),
    "x86_64-linux-musl": ("x86_64-linux-musl", *MUSL, "x86_64-linux-any"),
    "x86_64-windows-gnu": ("generic-mingw", "any-windows-any"),
    "aarch64-windows-gnu": ("generic-mingw", "any-windows-any"),
}
SETTINGS = {
    "_LIBCPP_ABI_VERSION": 1, "_LIBCPP_ABI_NAMESPACE": "__1", "_LIBCPP_HAS_THREADS": 1, "_LIBCPP_HAS_MONOTONIC_CLOCK": 1,
    "_LIBCPP_HAS_TERMINAL": 1, "_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS": 0, "_LIBCPP_HAS_FILESYSTEM": 1,
    "_LIBCPP_HAS_RANDOM_DEVICE": 1, "_LIBCPP_HAS_LOCALIZATION": 1, "_LIBCPP_HAS_UNICODE": 1,
    "_LIBCPP_HAS_WIDE_CHARACTERS": 1, "_LIBCPP_PSTL_BACKEND_SERIAL": 1,
    "_LIBCPP_HARDENING_MODE": "_LIBCPP_HARDENING_MODE_NONE",
    "_LIBCPP_ASSERTION_SEMANTIC_DEFAULT": "_LIBCPP_ASSERTION_SEMANTIC_IGNORE",
}  # fmt: skip


def arguments(system: str) -> list[str]:
    """What Clang is told of a system."""
    folders = ["libcxx/include", "libcxxabi/include", "include"]
    folders += [f"libc/include/{folder}" for folder in SYSTEMS[system]]
    settings = SETTINGS | {"_LIBCPP_HAS_MUSL_LIBC": int("musl" in system)}
    if "windows" in system:
        settings |= {"_WIN32_WINNT": "0x0a00", "__MSVCRT_VERSION__": "0xE00"}
    return [
        *("-target", system, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-nostdinc", "-I", str(CSRC)),
        *(part for folder in folders for part in ("-isystem", str(LIBRARY / folder))),
        *(f"-D{name}={value}" for name, value in settings.items()),
    ]  # fmt: skip


def calls(system: str) -> list[list[str]]:
    """The files, each with its arguments: a kernel once for each instruction set."""
    common, rows = arguments(system), ROWS[system.partition("-")[0]]
    kernels = sorted(CSRC.glob("kernels/**/*.cpp"))
    found = [
        [*common, f"-DBACKPASS_ISA={row}", *([f"-march={march}"] if march else []), "-fno-exceptions", str(f)]
        for row, march in rows.items()
        for f in kernels
    ]
    listed = " ".join(f"ROW({row})" for row in rows)
    others = sorted([*CSRC.glob("ops/*.cpp"), *CSRC.glob("runtime/*.cpp")])
    return found + [[*common, f"-DBACKPASS_ISA_ROWS={listed}", str(f)] for f in others]


def check(call: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ziglang", "clang", *call], capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else ""


def main() -> None:
    failed = False
    for system in sys.argv[1:] or SYSTEMS:
        files = calls(system)
        with ThreadPoolExecutor(2) as pool:
            errors = [error for error in pool.map(check, files) if error]
        print(f"{system}: {len(files)} files, {len(errors)} with errors", flush=True)
        for error in errors[:3]:
            print(error)
        failed |= bool(errors)
    sys.exit(failed)


if __name__ == "__main__":
    main()
