"""What `python -m backpass bench --peers` measures the library against."""

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backpass.cli.workloads import WORKLOADS

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from peers.apart import AVX512_BLAS, apart


def test_a_contestant_in_a_process_of_its_own_ends_when_it_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def kept(*arguments: Any, **more: Any) -> subprocess.Popen[str]:
        started.append(popen(*arguments, **more))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", kept)
    train = apart("numpy", WORKLOADS["tiny"], 1, AVX512_BLAS)
    assert train(1) > 0
    [child] = started
    assert child.poll() is None
    del train
    gc.collect()
    assert child.wait(30) == 0


def test_what_a_step_has_to_move_and_how_many_parameters_it_has() -> None:
    tabular, tiny = WORKLOADS["tabular"], WORKLOADS["tiny"]
    assert tiny.parameters == 8 * 32 + 32 + 32 * 32 + 32 + 32 + 1
    assert tiny.bytes == 4 * (11 * tiny.parameters - 8 * 32 + 32 * 8)
    for workload in (tiny, tabular):
        assert workload.parameters == sum(array.size for array in workload.model("numpy").parameters())
    assert (tabular.weight_decay, tiny.weight_decay) == (1e-2, 0)
