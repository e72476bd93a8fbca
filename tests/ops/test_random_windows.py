"""Random convolutions and pooling: every backend and instruction set against NumPy in float64 (more: long/windows.py)."""

import pytest

from helpers import windows
from helpers.backends import NATIVE, once

CASES, PARTS = 300, 6


@once
@pytest.mark.parametrize("part", range(PARTS))
def test_random_windows(part: int) -> None:
    fitting = sum(windows.judge(seed, NATIVE) for seed in range(part, CASES * 3, PARTS))
    assert fitting >= CASES / PARTS


@once
def test_random_windows_on_numba() -> None:
    if "numba" not in windows.BACKENDS:
        pytest.skip("Numba is not installed")
    for seed in range(10_000, 10_060):
        windows.judge(seed, ["numba"])
