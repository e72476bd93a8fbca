"""Every script of benchmarks/ runs, at a tiny size: what nobody runs is broken when it is needed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.processes import ENVIRONMENT

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
# The script, its arguments, what it needs besides. {json}: a file that it is to write.
TINY = {
    "adding": ("--seeds 1 --rows 100 --epochs 1 --json {json}", ""),
    "bench_ops": ("--ops linear_forward,adam_step --json {json}", ""),
    "categories": ("--seeds 1 --rows 300 --epochs 1 --json {json}", "pandas data"),
    "elm": ("--quick --data sinc", "sklearn"),
    "estimators": ("--seeds 1 --data diabetes --json {json}", "sklearn"),
    "first_step": ("--repeats 1 --programs backpass --json {json}", "resource"),
    "generate": ("--steps 2 --rounds 1 --json {json}", "torch"),
    "limits": ("--parts peak,bf16,threads --workloads tiny --json {json}", ""),
    "many": ("--parts tiny,users --repeats 1 --share 0.004 --json {json}", "resource"),
    "mnist_cnn": ("--seeds 1 --epochs 1 --torch-epochs 1 --rows 256 --json {json}", "torch data"),
    "modules": ("--quick", "torch"),
    "mpi": ("--ranks 2 --turns 1 --share 0.01 --networks small --json {json}", "mpi4py"),
    "monitor": ("--pairs 2 --seconds 0 --workloads tiny --json {json}", ""),
    "precision": ("--workloads tiny --pairs 2 --json {json}", ""),
    "profile_step": ("tiny charlstm_b1 --seconds 0.01", ""),
    "search": ("--repeats 1 --jobs 2 --epochs 1 --json {json}", "sklearn"),
    "sparse_rows": ("--epochs 1 --turns 1 --json {json}", ""),
    "text": ("--seeds 1 --share 0.02 --json {json}", "data"),
}
# Stages of .ci/run or tests of their own; `datasets`, `units` and `scaling` are modules of others.
ELSEWHERE = {"build_time", "instructions", "readme", "datasets", "units", "scaling"}


def test_all_scripts_are_here() -> None:
    assert {file.stem for file in FOLDER.glob("*.py")} == TINY.keys() | ELSEWHERE


def scripts() -> list[object]:
    return [
        pytest.param(name, marks=[pytest.mark.torch] if "torch" in TINY[name][1] else []) for name in TINY
    ]


@pytest.mark.parametrize("name", scripts())
def test_script_runs(name: str, tmp_path: Path) -> None:
    options, needs = TINY[name]
    for need in needs.split():
        if need == "data":
            if "BACKPASS_DATA" not in ENVIRONMENT:
                pytest.skip("BACKPASS_DATA names no folder of data")
        else:
            pytest.importorskip(need)
    file = tmp_path / "results.json"
    command = [sys.executable, FOLDER / f"{name}.py", *options.format(json=file).split()]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if "{json}" in options:
        assert json.loads(file.read_text("utf-8"))
