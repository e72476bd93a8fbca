"""The chores, one a session: `nox --list` shows them. .ci/run calls some of them too."""

import argparse
import difflib
import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.sessions = ["lint", "cpp", "tests"]
nox.options.error_on_missing_interpreters = False

PRESETS = ["dev", "asan", "tsan", "aarch64"]
COMPILERS = {  # a preset, and what it needs of Debian
    "gcc": ("g++",),
    "clang": ("clang-19",),
    "libcxx": ("clang-19", "libc++-19-dev", "libc++abi-19-dev"),
    "mingw": ("g++-mingw-w64-x86-64-posix", "wine", "wine64"),
}
ZIG = ["musl", "musl-aarch64", "macos", "windows-arm64"]
CPUS = {"Nehalem": "baseline", "Haswell": "avx2"}  # names of qemu, and the row that such a CPU runs
SAMPLE = ["tests/backends/test_parity.py", "tests/backends/test_rows.py", "tests/golden/test_golden.py"]
STUB = Path("python/backpass/_core.pyi")


def install_group(session: nox.Session, group: str) -> None:
    """Install a [dependency-groups] entry of pyproject.toml, which pins the versions."""
    session.install(*nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), group))


def configure(session: nox.Session, preset: str, *options: str) -> None:
    """Configure one of the presets of CMakePresets.json, in build/<preset>."""
    python = shutil.which("python", path=session.bin)
    cmakedir = session.run("python", "-m", "pybind11", "--cmakedir", silent=True)
    assert isinstance(cmakedir, str)
    session.run(
        "cmake",
        "--preset",
        preset,
        f"-Dpybind11_DIR={cmakedir.strip()}",
        f"-DPython_EXECUTABLE={python}",
        *options,
    )


def build(session: nox.Session, preset: str, *options: str) -> None:
    """Configure and compile one of the presets, into build/<preset>."""
    configure(session, preset, *options)
    session.run("cmake", "--build", "--preset", preset)


def debian(session: nox.Session, *packages: str) -> None:
    """Install packages of Debian; who may not install reads their names."""
    if os.geteuid():
        session.log(f"needs of Debian: {' '.join(packages)}")
    else:
        session.run("apt-get", "update", "-qq", external=True)
        session.run("apt-get", "install", "-qq", "--no-install-recommends", *packages, external=True)


def built_package(session: nox.Session, preset: str) -> dict[str, str]:
    """Lay the package beside the module of build/<preset>; the environment that imports it."""
    package = Path(session.create_tmp()) / "backpass"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree("python/backpass", package, ignore=shutil.ignore_patterns("_core.*.so", "__pycache__"))
    for module in Path("build", preset).glob("_core.*.so"):
        shutil.copy(module, package)
    return {"PYTHONPATH": str(package.parent), "MPLBACKEND": "Agg"}


def sphinx(session: nox.Session, into: str, *options: str) -> None:
    """What the pages give, into a folder; every warning is an error."""
    session.install(".[docs]")
    how = ("-W", "--keep-going", "-q", "-c", "docs", *options)
    session.run("python", "-m", "sphinx", *how, ".", into, *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """The test suite against the built package; arguments after -- go to pytest."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


LONG = {  # of tests/long: its option for how many, and how many
    "kills": ("--kills", 200),
    "interrupts": ("--rounds", 100),
    "forks": ("--forks", 100),
    "hostile": ("--cases", 30_000),
    "programs": ("--cases", 50_000),
    "inputs": ("--cases", 100_000),
    "graphs": ("--cases", 100_000),
    "windows": ("--cases", 100_000),
    "many": ("--models", 50),
}


@nox.session
def long(session: nox.Session) -> None:
    """Kills, signals, forks, forged files and programs, hostile input; `-- --seed N` repeats them, `--percent 1` some of each."""
    parser = argparse.ArgumentParser(prog="nox -s long --")
    parser.add_argument("--percent", type=float, default=100)
    parser.add_argument("--seed")
    asked = parser.parse_args(session.posargs)
    session.install(".[test]")
    for name, (option, times) in LONG.items():
        seed = ["--seed", asked.seed] if asked.seed and name != "forks" else []
        count = max(1, round(times * asked.percent / 100))
        session.run("python", f"tests/long/{name}.py", option, str(count), *seed)


@nox.session
def bare(session: nox.Session) -> None:
    """The suite without any optional package."""
    session.install(".", "pytest", "pytest-xdist", "hypothesis")
    session.run("pytest", "-n", "2", "-m", "not pages and not torch and not keras", *session.posargs)


@nox.session
def platforms(session: nox.Session) -> None:
    """The C++ code parsed with the headers of macOS, Windows and musl; nothing is built."""
    session.install("ziglang")
    session.run("python", "tests/cpp/check_platforms.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """libFuzzer builds programs of any bytes, for five minutes (needs Clang); `-- -seed=N -runs=N` repeats a run."""
    install_group(session, "cpp")
    build(session, "fuzz")
    session.run("build/fuzz/fuzz_program", *(session.posargs or ["-max_total_time=300"]), external=True)


@nox.session
def asan(session: nox.Session) -> None:
    """Forged programs, then the whole Python suite under AddressSanitizer (GCC, Linux); `-- FILES` only runs these.

    Not there: Numba and PyTorch, whose code is not instrumented. A test that cannot run so says why: `not_under_asan`.
    """
    install_group(session, "cpp")
    session.install(
        *("numpy", "safetensors", "pytest", "pytest-xdist", "hypothesis"),
        *("scikit-learn", "threadpoolctl", "pandas", "matplotlib"),
    )
    build(session, "asan", "-DBACKPASS_MODULE=ON", "-DBACKPASS_TESTS=OFF")
    names = ("libasan.so", "libubsan.so")
    libraries = [session.run("g++", f"-print-file-name={name}", silent=True, external=True) for name in names]
    preload = ":".join(str(library).strip() for library in libraries)
    env = {**built_package(session, "asan"), "LD_PRELOAD": preload}
    # Python leaks a little at its end by design; what NumPy cannot get is to be a MemoryError; a file that is cut off ends
    # the process by SIGBUS, as it does without the sanitizer.
    env["ASAN_OPTIONS"] = "detect_leaks=0:allocator_may_return_null=1:handle_sigbus=0"
    if not session.posargs:
        session.run("python", "tests/long/programs.py", "--cases", "20000", env=env)
    session.run("pytest", "-n", "2", "-m", "not pages", *session.posargs, env=env)


@nox.session
@nox.parametrize("preset", PRESETS, ids=PRESETS)
def cpp(session: nox.Session, preset: str) -> None:
    """The C++ tests: no warnings, a budget of build time (dev); sanitizers (asan, tsan); NEON in qemu-aarch64, if installed."""
    install_group(session, "cpp")
    if preset == "dev":
        configure(session, preset)
        session.run("python", "benchmarks/build_time.py", "build/dev")
    build(session, preset)
    if preset != "aarch64" or shutil.which("qemu-aarch64"):
        session.run("ctest", "--preset", preset, *session.posargs)


@nox.session
@nox.parametrize("preset", list(COMPILERS), ids=list(COMPILERS))
def compiler(session: nox.Session, preset: str) -> None:
    """The C++ tests by a compiler, mingw's in wine, and a part of the suite with its module; `-- -D...` goes to CMake."""
    install_group(session, "cpp")
    debian(session, *COMPILERS[preset])
    build(session, preset, *session.posargs)
    wine = {"WINEDEBUG": "-all", "WINEPREFIX": str(Path("build/wine").resolve())}
    session.run("ctest", "--preset", preset, env=wine)
    if preset != "mingw":
        session.install("numpy", "pytest", "pytest-xdist", "hypothesis")
        session.run("pytest", "-n", "2", *SAMPLE, env=built_package(session, preset))


@nox.session
@nox.parametrize("preset", ZIG, ids=ZIG)
def zig(session: nox.Session, preset: str) -> None:
    """Programs of ziglang for another system: linked, and the C++ tests with musl. `-- -D...` goes to CMake."""
    install_group(session, "cpp")
    session.install("ziglang")
    build(session, preset, *session.posargs)
    if "musl" in preset:
        debian(session, "qemu-user")
        session.run("ctest", "--preset", preset)


@nox.session
def sid(session: nox.Session) -> None:
    """compiler(gcc) by GCC and Python of Debian's unstable branch, in a chroot (as root); `-- forky` takes another branch."""
    release = session.posargs[0] if session.posargs else "sid"
    root = Path("build", release)
    debian(session, "debootstrap")
    if not (root / "usr/bin/g++").exists():
        packages = "--include=g++,python3-venv,python3-dev,ca-certificates"
        session.run("debootstrap", "--variant=minbase", packages, release, str(root), external=True)
    for file in ("etc/hosts", "etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"):
        shutil.copy(Path("/", file), root / file)
    # A mirror of that branch may be weeks old.
    Path(root, "etc/apt/apt.conf.d/90-any-age").write_text('Acquire::Check-Valid-Until "false";\n')
    left_out = shutil.ignore_patterns("build", ".*", "*.so")
    shutil.copytree(".", root / "source", ignore=left_out, dirs_exist_ok=True)
    steps = (
        "cd source",
        "python3 -m venv /nox",
        "/nox/bin/pip install nox",
        "/nox/bin/nox -s 'compiler(gcc)'",
    )
    # The tests count their threads there.
    session.run("mount", "--bind", "/proc", str(root / "proc"), external=True)
    try:
        session.run("chroot", str(root), "bash", "-c", " && ".join(steps), external=True)
    finally:
        session.run("umount", str(root / "proc"), external=True)


@nox.session
@nox.parametrize("cpu", list(CPUS), ids=list(CPUS))
def cpus(session: nox.Session, cpu: str) -> None:
    """An older CPU in qemu: C++ tests, the instruction set that is chosen, a part of the suite."""
    install_group(session, "cpp")
    session.install("numpy", "pytest", "hypothesis")
    debian(session, "g++", "qemu-user")
    build(session, "qemu", *session.posargs)
    python = ["qemu-x86_64", shutil.which("python", path=session.bin)]
    row, env = CPUS[cpu], {**built_package(session, "qemu"), "QEMU_CPU": cpu}
    # Up to now qemu reads the lanes that AVX2's masks leave out: behind an array's end the kernels' tests have a wall. Those
    # of the baseline are left to the CPU that runs it.
    left_out = "_avx2" if row == "baseline" else "_avx2|_baseline"
    session.run("ctest", "--preset", "qemu", "--exclude-regex", left_out, env=env)
    chosen = f"from backpass.diagnostics.config import isas; assert isas()[0] == {row!r}, isas()"
    session.run(*python, "-c", chosen, env=env, external=True)
    session.run(*python, "-m", "pytest", SAMPLE[0], "-k", "linear", env=env, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, strict mypy and clang-format; changes nothing."""
    install_group(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    sources = sorted(
        str(file) for top in ("csrc", "tests/cpp", "tests/fuzz") for file in Path(top).rglob("*.[ch]pp")
    )
    session.run("clang-format", "--dry-run", "-Werror", *sources)


@nox.session
def stubs(session: nox.Session) -> None:
    """Write python/backpass/_core.pyi from the compiled module; with -- --check only compare."""
    install_group(session, "stubs")
    build(session, "dev")
    out = Path(session.create_tmp())
    session.run(
        "stubgen", "--quiet", "--inspect-mode", "-m", "_core", "-o", str(out), env={"PYTHONPATH": "build/dev"}
    )
    generated = out / "_core.pyi"
    generated.write_text(
        "# The compiled module, as `nox -s stubs` reads it; generated, never edited.\n"
        + generated.read_text("utf-8"),
        "utf-8",
    )
    session.run("ruff", "check", "--quiet", "--fix-only", "--config", "pyproject.toml", str(generated))
    session.run("ruff", "format", "--quiet", "--config", "pyproject.toml", str(generated))
    if "--check" not in session.posargs:
        STUB.write_bytes(generated.read_bytes())
        return
    kept, new = (file.read_text("utf-8").splitlines() for file in (STUB, generated))
    if difference := list(difflib.unified_diff(kept, new, str(STUB), "generated", lineterm="")):
        session.error("\n".join(["the stub is not what the module says: run nox -s stubs", *difference]))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation as a site, into build/site: its pages run, and every warning is an error."""
    sphinx(session, "build/site")


@nox.session
def links(session: nox.Session) -> None:
    """Ask for each link of the documentation that leads outside (needs a network); no page runs."""
    sphinx(session, "build/links", "-b", "linkcheck", "-D", "nb_execution_mode=off")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks; arguments after -- go to `python -m backpass bench`."""
    session.install(".[bench]")
    session.run("python", "-m", "backpass", "bench", *session.posargs)
