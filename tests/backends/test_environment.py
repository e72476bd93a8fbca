"""What is wrong with an environment variable is said when it is read."""

import subprocess
import sys

import pytest

import backpass as bp
from helpers.processes import ENVIRONMENT


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_environment_backend() -> None:
    done = run("import backpass as bp; bp.get_backend()", BACKPASS_BACKEND="cuda")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "ValueError" in last
    assert "BACKPASS_BACKEND" in last, "the message does not say where the name came from"
    assert "'cuda'" in last
    assert "'numpy'" in last
    done = run("import backpass as bp; print(bp.get_backend().name)", BACKPASS_BACKEND="numpy")
    assert done.stdout.strip() == "numpy", done.stderr


def test_environment_isa() -> None:
    if "native" not in bp.available_backends():
        pytest.skip("the native backend is not there")
    done = run("import backpass as bp; bp.get_backend('native')", BACKPASS_ISA="sse9")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "BACKPASS_ISA is 'sse9'" in last
    assert "baseline" in last or "neon" in last
    done = run("import backpass as bp; print(bp.get_backend('native').isa)", BACKPASS_ISA="baseline")
    assert done.stdout.strip() == "baseline", done.stderr
