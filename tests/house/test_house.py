"""The arrows of the house: who may import or include whom, in Python and in C++.

An arrow that is not tested will be crossed. Each check is also fed deliberate violations: one that has gone blind fails.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.processes import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "python" / "backpass"
CSRC = ROOT / "csrc"
CHECK_SYMBOLS = ROOT / "tests" / "cpp" / "check_symbols.py"

# ---- Python ------------------------------------------------------------------------------------------------

# The rooms, top first: an import of anything above is an error, late and typing imports included. Rooms in one line do not see
# each other. Every file stands in one of them.
ORDER = [
    {"__init__", "__main__"},
    {"cli"},
    {"sklearn"},
    {"plots"},
    {"many"},
    {"conversion"},
    {"model"},
    {"training"},
    {"callbacks"},
    {"checkpoint", "diagnostics", "export"},
    {"engine"},
    {"data"},
    {"metrics"},
    {"nn", "losses", "optim"},
    {"program"},
    {"backends"},
    {"ops"},
    {"system"},
    {"described"},
    {"drawing"},
    {"checks"},
    {"errors", "_version"},
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
FACES = {"nn/__init__.py": {"losses"}}  # the public face `backpass.nn` shows the losses, as torch.nn does
NATIVE = re.compile(r"backends/native(\.py|/.*)")  # the only place that knows the compiled module


def imported(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name, both below backpass, of everything that the file at `path` imports from it."""
    package = path.split("/")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            yield from ((node.lineno, ".".join(name[1:])) for name in names if name[0] == "backpass")
        elif isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            if node.level:
                base = package[: len(package) - node.level + 1] + module
            elif module[0] == "backpass":
                base = module[1:]
            else:
                continue
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def crossed_imports(path: str, source: str) -> Iterator[str]:
    """What the file at `path` imports and may not."""
    room = path.split("/")[0].removesuffix(".py")
    if room not in RANK:
        yield f"python/backpass/{path}: {room} is no room of tests/house/test_house.py's ORDER"
        return
    for line, name in imported(path, source):
        target = name.split(".")[0]
        where = f"python/backpass/{path}:{line}"
        if target == "_core":
            if not NATIVE.fullmatch(path):
                yield f"{where}: only backends/native may import _core"
        elif target != room and target not in FACES.get(path, ()) and RANK.get(target, -1) <= RANK[room]:
            yield f"{where}: {room} -> {target or 'backpass itself'} points up"


def circles(files: dict[str, str]) -> list[list[str]]:
    """Sets of two or more files that import each other, directly or by way of others; a package stands for its __init__."""
    arrows: dict[str, set[str]] = {}
    for path, source in files.items():
        targets = set()
        for _, name in imported(path, source):
            parts = name.split(".")
            tried = ("/".join(parts[:n]) for n in range(len(parts), 0, -1))
            known = (f"{t}{end}" for t in tried for end in (".py", "/__init__.py"))
            targets |= {found for found in [next((k for k in known if k in files), "")] if found}
        arrows[path] = targets - {path}

    def reached(start: str) -> set[str]:
        seen, waiting = set[str](), [start]
        while waiting:
            new = arrows[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    within = {path: reached(path) for path in arrows}
    groups = {
        frozenset(other for other in within[path] if path in within[other]) | {path}
        for path in arrows
        if path in within[path]
    }
    return sorted(sorted(group) for group in groups)


HEAVY = (
    "safetensors",
    "numpy.random",
    "hashlib",
    "json",
    "numba",
    "scipy",
    "sklearn",
    "matplotlib",
    "tqdm",
    "onnx",
    "tensorboardX",
    "torch",
    "keras",
    "h5py",
)


def test_import_stays_light() -> None:
    """Each of these would cost an import more than all of backpass; NumPy itself loads some in older versions."""
    code = f"import sys, numpy; before = set(sys.modules); import backpass; print(*((set(sys.modules) - before) & {{*{HEAVY}}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, check=True, capture_output=True, text=True
    )
    assert not done.stdout.split()


def test_estimators_without_scikit_learn_say_what_to_install() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import backpass.sklearn"
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "backpass.sklearn needs scikit-learn 1.6 or newer: pip install 'backpass[sklearn]'" in done.stderr


def sources() -> dict[str, str]:
    """Every Python file of the package, by its path below it."""
    files = {
        file.relative_to(PYTHON).as_posix(): file.read_text("utf-8") for file in sorted(PYTHON.rglob("*.py"))
    }
    assert files, f"no Python sources under {PYTHON}"
    return files


def test_python_arrows() -> None:
    crossed = [line for path, source in sources().items() for line in crossed_imports(path, source)]
    assert not crossed, "\n" + "\n".join(crossed)


def test_no_circle_of_imports() -> None:
    assert circles(sources()) == []


def test_the_top_is_short() -> None:
    entries = {path.split("/")[0] for path in sources()} | {"_core.pyi", "py.typed"}
    assert len(entries) <= 30, sorted(entries)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("ops/contract.py", "from .. import program"),
        ("ops/contract.py", "from ..program.builder import Builder"),
        ("program/builder.py", "def f():\n    from ..nn import Linear"),
        ("program/builder.py", "if TYPE_CHECKING:\n    from ..nn import Linear"),
        ("nn/linear.py", "from ..losses import MSELoss"),
        ("nn/linear.py", "from .. import model"),
        ("nn/deep/cell.py", "from ...optim import SGD"),
        ("optim/sgd.py", "from backpass.nn import Linear"),
        ("losses/mse.py", "import backpass"),
        ("backends/numpy.py", "from ..program import call"),
        ("backends/numpy.py", "from .. import _core"),
        ("engine/engine.py", "from ..model import Model"),
        ("callbacks/base.py", "from ..training.run import train"),
        ("checkpoint/save.py", "from ..diagnostics.health import judge"),
        ("model.py", "from ._core import run"),
        ("model.py", "from .sklearn import MLPClassifier"),
        ("errors.py", "from .checks import real"),
        ("__init__.py", "import backpass._core"),
        ("stray.py", ""),
    ],
)
def test_python_check_sees(path: str, source: str) -> None:
    assert list(crossed_imports(path, source)), f"{source!r} in {path} went unnoticed"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nn/linear.py", "import numpy as np\nfrom ..ops import linear_forward\nfrom .module import Module"),
        ("nn/__init__.py", "from ..losses import MSELoss"),
        ("backends/native.py", "from .. import _core\nfrom ..ops import REGISTRY"),
        ("model.py", "from . import nn, optim\nfrom .backends import get_backend"),
    ],
)
def test_python_check_allows(path: str, source: str) -> None:
    assert not list(crossed_imports(path, source))


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "from . import b", "b.py": "from . import a"},
        {"a.py": "from .b import f", "b.py": "def f():\n    from .c import g", "c.py": "import backpass.a"},
        {"a/__init__.py": "from .b import f", "a/b.py": "from . import f"},
        {"a.py": "from .b import f", "b.py": "if TYPE_CHECKING:\n    from .a import g"},
    ],
)
def test_circle_check_sees(files: dict[str, str]) -> None:
    assert circles(files) == [sorted(files)]


def test_circle_check_allows() -> None:
    assert (
        circles({"a.py": "from .b import f\nfrom .c import g", "b.py": "from .c import g", "c.py": ""}) == []
    )


# ---- C++ ---------------------------------------------------------------------------------------------------

RINGS = {  # a folder of csrc -> the other folders that it may include
    "ops": set[str](),
    "kernels": {"ops"},
    "runtime": {"ops"},
    "bindings": {"ops", "runtime"},
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)
PYTHON_HEADER = re.compile(r"pybind11/|Python\.h$|numpy/")
LEAKY_HEADER = re.compile(  # its templates leave weak symbols, or throw, or allocate
    r"(array|deque|exception|format|fstream|functional|future|iostream|list|map|memory|mutex|optional|ostream|queue"
    r"|set|span|sstream|stack|stdexcept|string|string_view|thread|tuple|unordered_map|unordered_set|variant|vector)$"
)
IF_ISA = re.compile(
    r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif|elifdef|elifndef)\b.*"
    r"\b_*(?:SSE|AVX|FMA|F16C|BMI|ARM|NEON|aarch64|x86_64|i386|M_X64|M_ARM64|BP_(?:SSE|AVX|NEON))\w*",
    re.MULTILINE,
)
KNOWS_ISA = {"kernels/vector/simd.hpp", "runtime/isa.cpp", "runtime/caches.cpp"}


def crossed_includes(path: str, source: str) -> Iterator[str]:
    """What the file at `path` (below csrc) includes or asks of the preprocessor and may not."""
    ring = path.split("/")[0]

    def where(match: re.Match[str]) -> str:
        return f"csrc/{path}:{source.count(chr(10), 0, match.start()) + 1}"

    for match in INCLUDE.finditer(source):
        quote, name = match.groups()
        if PYTHON_HEADER.match(name) and ring != "bindings":
            yield f"{where(match)}: <{name}>: only csrc/bindings knows Python"
        if ring == "kernels" and quote == "<" and LEAKY_HEADER.match(name):
            yield f"{where(match)}: <{name}>: a kernel uses no containers, exceptions, streams or threads"
        if quote == '"':
            included = [part for part in name.split("/") if part not in {".", ".."}]
            target = included[0] if included[0] in RINGS else ring
            if target not in {ring, *RINGS[ring]}:
                yield f"{where(match)}: {ring} -> {target}; allowed: {sorted(RINGS[ring])}"
    if path not in KNOWS_ISA:
        for match in IF_ISA.finditer(source):
            yield f"{where(match)}: `{match[0].strip()}`: only {sorted(KNOWS_ISA)} ask for an ISA"


def cpp_sources() -> list[Path]:
    return sorted(file for file in CSRC.rglob("*") if file.suffix in {".cpp", ".hpp", ".h", ".inl"})


def test_cpp_arrows() -> None:
    files = cpp_sources()
    assert files, f"no C++ sources under {CSRC}"
    found = [
        line
        for file in files
        for line in crossed_includes(file.relative_to(CSRC).as_posix(), file.read_text("utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


def test_every_cpp_file_stands_in_a_ring() -> None:
    stray = [
        str(file.relative_to(ROOT)) for file in cpp_sources() if file.relative_to(CSRC).parts[0] not in RINGS
    ]
    assert not stray, f"not in one of {sorted(RINGS)}: {stray}"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("ops/ops.hpp", '#include "kernels/vector/simd.hpp"'),
        ("ops/ops.hpp", "#include <pybind11/numpy.h>"),
        ("kernels/dense.cpp", '#include "runtime/pool.hpp"'),
        ("kernels/dense.cpp", '  #  include "../runtime/pool.hpp"'),
        ("kernels/dense.cpp", "#include <Python.h>"),
        ("kernels/dense.cpp", "#include <vector>"),
        ("kernels/matmul/gemm.hpp", "#ifdef __AVX2__\n#endif"),
        ("kernels/matmul/gemm.hpp", "#if 1\n#elif defined(__x86_64__)\n#endif"),
        ("kernels/vector/vmath.hpp", "#if BP_AVX512\n#endif"),
        ("runtime/program.cpp", '#include "kernels/matmul/gemm.hpp"'),
        ("runtime/program.cpp", '#include "bindings/module.hpp"'),
        ("runtime/program.cpp", "#include <pybind11/pybind11.h>"),
        ("bindings/module.cpp", '#include "kernels/matmul/gemm.hpp"'),
        ("bindings/module.cpp", "#ifndef __ARM_NEON\n#endif"),
    ],
)
def test_cpp_check_sees(path: str, source: str) -> None:
    assert list(crossed_includes(path, source)), f"{source!r} in {path} went unnoticed"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "kernels/dense.cpp",
            '#include <cstdint>\n#include "matmul/gemm.hpp"\n#include "ops/ops.hpp"\n#include "vector/simd.hpp"',
        ),
        ("kernels/vector/simd.hpp", "#if defined(__AVX2__) && defined(__FMA__)"),
        ("runtime/pool.cpp", "#include <thread>\n#ifdef __linux__\n#ifndef BACKPASS_ISA_ROWS"),
        (
            "bindings/module.cpp",
            '#include <pybind11/pybind11.h>\n#include "runtime/program.hpp"\n#include "ops/ops.hpp"',
        ),
    ],
)
def test_cpp_check_allows(path: str, source: str) -> None:
    assert not list(crossed_includes(path, source))


# ---- symbols -----------------------------------------------------------------------------------------------


def check_symbols(build: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, CHECK_SYMBOLS, build], capture_output=True, text=True, check=False)


def release_builds() -> list[Path]:
    caches = ((file.parent, file.read_text("utf-8")) for file in sorted(ROOT.glob("build/*/CMakeCache.txt")))
    return [
        folder
        for folder, cache in caches
        if "CMAKE_BUILD_TYPE:STRING=Release\n" in cache and "BACKPASS_SANITIZE:STRING=\n" in cache
    ]


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not installed")
def test_no_row_leaves_a_symbol_that_another_could_take() -> None:
    builds = [build for build in release_builds() if any(build.rglob("kernels_*.dir/**/*.o"))]
    if not builds:
        pytest.skip("no objects of the ISA rows here: cmake --preset dev && cmake --build --preset dev")
    for build in builds:
        done = check_symbols(build)
        assert done.returncode == 0, f"{build}\n{done.stdout}{done.stderr}"


@pytest.mark.skipif(shutil.which("nm") is None or shutil.which("g++") is None, reason="needs nm and g++")
@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (
            "namespace backpass::avx2 { namespace { int f(int x) { return x; } } int g(int x) { return f(x); } }",
            "",
        ),
        ("namespace backpass::avx2 { template <class T> T f(T x) { return x; } template int f(int); }", ""),
        (
            "namespace backpass { template <class T> T shared(T x) { return x; } template int shared(int); }",
            "shared",
        ),
        ("namespace backpass::avx512 { int other(int x) { return x; } }", "other"),
        ("int outside(int x) { return x; }", "outside"),
        ("namespace backpass::avx2 { float* f(int n) { return new float[n]; } }", "operator new"),
        ("int h(); namespace backpass::avx2 { int f() { static int once = h(); return once; } }", "guard"),
        (
            "#include <vector>\nnamespace backpass::avx2 { void f(std::vector<int>& v) { v.push_back(1); } }",
            "std::",
        ),
    ],
)
def test_symbol_check_sees(source: str, complaint: str, tmp_path: Path) -> None:
    folder = tmp_path / "kernels_avx2.dir"
    folder.mkdir()
    subprocess.run(
        ["g++", "-std=c++20", "-O1", "-fno-exceptions", "-c", "-x", "c++", "-", "-o", folder / "case.cpp.o"],
        input=source,
        text=True,
        check=True,
    )
    done = check_symbols(tmp_path)
    assert done.returncode == (1 if complaint else 0), done.stdout + done.stderr
    assert complaint in done.stdout
