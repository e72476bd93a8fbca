"""CPU seconds of compiling the module from nothing, and the size of its wheel, against their budgets.

    python benchmarks/build_time.py              configure a folder for it and compile there
    python benchmarks/build_time.py build/dev    compile _core in a configured folder, as `nox -s "cpp(dev)"` does first

CPU seconds are counted in yardsticks: what the same compiler takes, at the same time, for a small file of the standard library.
A folder that has objects already is no build from nothing: nothing is measured.
"""

import io
import os
import re
import resource
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_YARDSTICKS = 62.0
MOST_MEGABYTES = 3.5
YARDSTICK = """
#include <map>
#include <regex>
#include <string>
std::map<std::string, bool> found(const std::string& text) {
    std::map<std::string, bool> all;
    for (const char* each : {"a+b", "[0-9]{3}", "x|y"}) all[each] = std::regex_search(text, std::regex(each));
    return all;
}
"""


def cpu_seconds(*command: str, text: str | None = None) -> float:
    """CPU seconds of a command with all its children; what it prints is shown."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, text=True, input=text)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def configured(folder: str) -> None:
    """A build as pip does it, in a new folder."""
    import pybind11  # of the group "cpp"

    command = ["cmake", "-S", str(ROOT), "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
    subprocess.run(
        [*command, f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}"],
        check=True,
    )


def megabytes(module: Path) -> float:
    """A wheel is a zip file of the package and the stripped module."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel, tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / module.name
        subprocess.run(["strip", "-o", str(stripped), str(module)], check=True)
        wheel.write(stripped)
        for file in (ROOT / "python").rglob("*"):
            if file.is_file() and file.suffix != ".so" and "__pycache__" not in file.parts:
                wheel.write(file)
    return len(packed.getvalue()) / 1e6


def measure(build: Path) -> int:
    """Compile, print, compare."""
    if any(build.rglob("*.o")):
        print(f"{build} has objects already: nothing to measure")
        return 0
    cache = (build / "CMakeCache.txt").read_text("utf-8")
    found = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", cache, re.MULTILINE)
    assert found, "no compiler in CMakeCache.txt"

    def yardstick() -> float:
        return cpu_seconds(
            found[1], "-std=c++20", "-O2", "-c", "-x", "c++", "-", "-o", os.devnull, text=YARDSTICK
        )

    rods = [yardstick() for _ in range(3)]
    seconds = cpu_seconds("cmake", "--build", str(build), "--target", "_core")
    rods += [yardstick() for _ in range(3)]
    ratio, size = seconds / min(rods), megabytes(next(build.glob("_core*.so")))
    print(
        f"compiling: {seconds:.0f} CPU seconds, {ratio:.1f} yardsticks of {min(rods):.2f}; at most {MOST_YARDSTICKS}"
    )
    print(f"the wheel: {size:.2f} MB; at most {MOST_MEGABYTES}")
    if ratio <= MOST_YARDSTICKS and size <= MOST_MEGABYTES:
        return 0
    print('over the budget: see "Build time" in csrc/README.md')
    return 1


def main() -> int:
    """Measure a folder that is given, or one of its own."""
    if len(sys.argv) > 1:
        return measure(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        configured(folder)
        return measure(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
