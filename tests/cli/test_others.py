"""Turns of the bench beside which somebody else was at work are counted; whether CPUs share a core is measured."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from backpass.backends import available_backends, get_backend
from backpass.cli import bench, others, peak
from backpass.cli.others import Others

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/stat is Linux's")


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@linux
def test_another_process_is_seen() -> None:
    code = "while True: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as other:
        try:
            time.sleep(0.3)
            watch = Others()
            time.sleep(1.0)
            assert watch.share() > 0.3
        finally:
            other.kill()


@linux
def test_this_process_is_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an otherwise idle machine: 100 ticks a second that all are this process'."""
    stat, start = tmp_path / "stat", time.process_time()

    def tick() -> None:
        stat.write_text(f"cpu  {round(100 * (time.process_time() - start))} 0 0 999 0 0 0 0 0 0\n")

    monkeypatch.setattr(others, "STAT", stat)
    tick()
    watch = Others()
    spin(0.5)
    tick()
    assert watch.share() < 0.05


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "STAT", Path("/nowhere/stat"))
    assert Others().share() == 0


def test_disturbed_turns_are_counted() -> None:
    assert others.disturbed([0.0, 0.04, 0.06, 1.5]) == 2


def test_pairs_of_cpus() -> None:
    assert bench.cores(1.98) == "a core each"
    assert "share a core" in bench.cores(1.04)
    if "native" in available_backends():
        assert 0.2 < peak.pair(get_backend("native")) < 4
