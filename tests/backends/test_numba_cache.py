"""Numba's cache on the disk: a damaged file is compiled anew, and then whole again."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

import backpass

STEP = """
import numpy as np, backpass as bp
model = bp.Model(bp.nn.Linear(3, 2), backend="numba")
print(repr(model.step(np.ones((4, 3)), np.ones((4, 2)))))
"""


def step(cache: Path) -> str:
    """What a step gives in a process of its own."""
    environment = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(Path(backpass.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", STEP], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_damaged_files_are_written_anew(ending: str, tmp_path: Path) -> None:
    expected = step(tmp_path)
    files = sorted(tmp_path.rglob(f"*.{ending}"))
    assert files
    for number, file in enumerate(files):
        whole = file.read_bytes()
        # Cut off, empty, and overwritten.
        file.write_bytes([whole[: len(whole) // 2], b"", b"\x80\x05garbage"][number % 3])
    damaged = {file: file.read_bytes() for file in files}
    assert step(tmp_path) == expected
    assert all(file.read_bytes() != before for file, before in damaged.items())
    assert step(tmp_path) == expected
