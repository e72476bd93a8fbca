"""python -m backpass demo, bench, doctor: run as users run them, with small settings."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import backpass as bp
from backpass.cli.workloads import WORKLOADS

BACKENDS = bp.available_backends()
HIDE = """
import sys
for name in {names!r}:
    sys.modules[name] = None
sys.argv = ["backpass", *{arguments!r}]
import runpy
runpy.run_module("backpass", run_name="__main__")
"""


def run(
    *arguments: str, cwd: Path, hidden: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command; `hidden` modules cannot be imported there."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("BACKPASS_BACKEND", "BACKPASS_NUM_THREADS")
    }
    environment |= {
        "PYTHONPATH": str(Path(bp.__file__).parent.parent),
        "PYTHONIOENCODING": "utf-8",
    } | variables
    start = (
        ["-c", HIDE.format(names=hidden, arguments=arguments)] if hidden else ["-m", "backpass", *arguments]
    )
    command = [sys.executable, *start]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )


def rows(text: str, names: list[str]) -> dict[str, list[str]]:
    """The words behind each backend's name at the start of a line of a table."""
    found = (line.split() for line in text.splitlines())
    return {words[0]: words[1:] for words in found if words and words[0] in names}


def test_alone_it_prints_help(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("demo", "bench", "doctor"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "--workloads", "tiny,huge"], "--workloads names 'huge', expected some of tiny,"),
        (["bench", "--repeats", "0"], "--repeats is 0, expected at least 1"),
        (["bench", "--json", "no/such/folder.json"], "no/such/folder.json"),
        (["demo", "--backend", "abacus"], "backend is 'abacus', expected one of"),
        (["demo", "--epochs", "0"], "--epochs is 0, expected an integer of at least 1"),
        (["demo", "--out", "/no/such/x.png"], "--out is '/no/such/x.png', but there is no folder '/no/such'"),
        (["demo", "--out", "x.gif"], "--out is 'x.gif', expected a name that ends in .png"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(
        rf"python -m backpass {arguments[0]}: error: .*{re.escape(message)}.*\n", done.stderr
    ), done.stderr


def test_bench_measures_no_peer_with_kernels_forced_upon_it(tmp_path: Path) -> None:
    done = run("bench", "--peers", "--workloads", "tiny", cwd=tmp_path, OPENBLAS_CORETYPE="Haswell")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--peers measures every library as it is shipped, but OPENBLAS_CORETYPE=Haswell" in done.stderr


def test_an_unknown_command_is_an_error(tmp_path: Path) -> None:
    assert run("fly", cwd=tmp_path).returncode == 2


def test_a_bad_environment_variable_is_named(tmp_path: Path) -> None:
    done = run("doctor", cwd=tmp_path, BACKPASS_NUM_THREADS="many")
    assert done.returncode == 2
    assert "BACKPASS_NUM_THREADS is 'many'" in done.stderr


def test_doctor(tmp_path: Path) -> None:
    done = run("doctor", cwd=tmp_path, BACKPASS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    facts = dict(line.split(":", 1) for line in done.stdout.split("\n\n")[0].splitlines())
    assert facts["backpass"].split()[0] == bp.__version__
    assert facts["threads"].strip() == "1"
    assert "BACKPASS_NUM_THREADS=1" in facts["environment"].strip().split(", ")
    assert {"Python", "packages", "system", "CPU", "CPUs", "ISA", "BLAS", "backend"} <= set(facts)
    for name in ("native", "numba", "numpy"):
        assert facts[f"  {name}"].strip().startswith("works" if name in BACKENDS else "missing: ")
    speeds = rows(done.stdout.split("speed check")[1], BACKENDS)
    assert list(speeds) == BACKENDS
    assert all(0 < float(words[0]) < 1e6 for words in speeds.values())


def test_doctor_says_why_a_backend_is_missing(tmp_path: Path) -> None:
    done = run("doctor", cwd=tmp_path, hidden=("numba", "backpass._core"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"native: +missing: .*_core.*; to get it: install a C", done.stdout)
    assert re.search(r"numba: +missing: .*numba.*; to get it: pip install 'backpass\[numba\]'", done.stdout)
    assert "auto is numpy" in done.stdout


def test_bench(tmp_path: Path) -> None:
    done = run(
        "bench",
        "--workloads",
        "rl,tiny",
        "--repeats",
        "3",
        "--seconds",
        "0.01",
        "--json",
        "out.json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    table = rows(done.stdout, list(WORKLOADS))
    assert list(table) == ["rl", "tiny"]
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in lines] == BACKENDS * 2
    assert all(re.search(r"µs \( *\d+ %\) +[\d.]+x", line) for line in lines)
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert {"date", "cpu", "isa", "threads", "versions", "blas"} <= set(written)
    assert written["threads"] == 1
    assert (written["peak_gflops"] > 1) == ("native" in BACKENDS)
    assert written["memory_gigabytes"] > 0.1
    for name in ("rl", "tiny"):
        result = written["workloads"][name]
        assert result["layers"] == list(WORKLOADS[name].layers)
        assert list(result["backends"]) == BACKENDS
        first = result["backends"][BACKENDS[0]]["median"]
        for backend in result["backends"].values():
            times = sorted(backend["us_per_step"])
            assert len(times) == 3
            assert backend["steps"] >= WORKLOADS[name].steps_per_epoch
            assert times[0] > 0
            assert (backend["min"], backend["median"]) == (times[0], times[1])
            assert backend["ratio"] == pytest.approx(times[1] / first)


def test_workloads_are_those_that_were_agreed() -> None:
    assert {w.name: (*w.layers, w.batch, w.loss) for w in WORKLOADS.values()} == {
        "tiny": (8, 32, 32, 1, 32, "mse"),
        "rl": (8, 64, 64, 4, 64, "cross_entropy"),
        "small": (64, 128, 128, 10, 64, "cross_entropy"),
        "mnist": (784, 256, 128, 10, 128, "cross_entropy"),
        "medium": (784, 1024, 1024, 10, 256, "cross_entropy"),
        "large": (1024, 4096, 4096, 1000, 512, "cross_entropy"),
        "sb3": (17, 64, 64, 6, 64, "mse"),
        "dqn": (4, 120, 84, 2, 128, "mse"),
        "sac": (14, 256, 256, 1, 256, "mse"),
        "tabular": (54, 128, 256, 128, 7, 128, "cross_entropy"),
        "jets": (16, 64, 32, 32, 5, 1024, "cross_entropy"),
        **{f"cliff{w}": (10, w, w, 10, 128, "cross_entropy") for w in (32, 45, 46, 64, 128, 256)},
    }
    sb3 = WORKLOADS["sb3"].model("numpy")
    assert (sb3.optimizer.clip_grad_norm, sb3.optimizer.scalars["eps"]) == (0.5, 1e-5)
    assert [type(layer).__name__ for layer in WORKLOADS["tabular"].model("numpy").net] == [
        *["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 3,
        "Linear",
    ]
    assert WORKLOADS["mnist"].flops == 2 * 128 * (2 * 784 * 256 + 3 * (256 * 128 + 128 * 10))


needs_digits = pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")


@needs_digits
@pytest.mark.slow
def test_demo_reaches_97_percent_on_every_backend(tmp_path: Path) -> None:
    done = run("demo", "--epochs", "10", "--out", "curves.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = rows(done.stdout.split("steps/s")[1], BACKENDS)
    assert list(table) == BACKENDS
    assert BACKENDS[0] == "native" or "native" not in BACKENDS
    for name, (training, _, held_out, percent, seconds, speed) in table.items():
        assert percent == "%"
        assert float(training) >= 97, f"{name}: {training} % in training"
        assert float(held_out) >= 97, f"{name}: {held_out} % held out"
        assert float(seconds) > 0
        assert float(speed.replace(",", "")) > 0
    if find_spec("matplotlib"):
        assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    if "numba" in BACKENDS:
        assert re.search(
            r"numba: compiling its kernels, once \.\.\. \d+\.\d s, not counted below", done.stdout
        )
    assert "Loss: CrossEntropyLoss(label_smoothing=0.1)\nOptimizer: AdamW(lr=cosine(" in done.stdout


@needs_digits
def test_demo_on_one_backend_without_matplotlib(tmp_path: Path) -> None:
    done = run("demo", "--epochs", "1", "--backend", "numpy", cwd=tmp_path, hidden=("matplotlib",))
    assert done.returncode == 0, done.stderr
    assert list(rows(done.stdout.split("steps/s")[1], BACKENDS)) == ["numpy"]
    assert 'pip install "backpass[plot]"' in done.stdout


def test_demo_without_scikit_learn_says_what_to_install(tmp_path: Path) -> None:
    done = run("demo", cwd=tmp_path, hidden=("sklearn",))
    assert done.returncode == 2
    assert 'pip install "backpass[demo]"' in done.stderr
    assert done.stderr.count("\n") == 1
