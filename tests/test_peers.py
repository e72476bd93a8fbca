"""What `python -m backpass bench --peers` measures the library against."""

import gc
import subprocess
from typing import Any

import pytest

from backpass.peers.apart import AVX512_BLAS, apart
from backpass.workloads import WORKLOADS


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
