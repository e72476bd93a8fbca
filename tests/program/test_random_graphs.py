"""Random graphs of up to 30 operations: every backend against NumPy's program of single steps, and finite differences."""

import pytest

from backpass import available_backends
from helpers import graphs
from helpers.backends import once

CASES, PARTS = 500, 10


@once
@pytest.mark.parametrize("part", range(PARTS))
def test_random_graphs(part: int) -> None:
    for seed in range(part, CASES, PARTS):
        graphs.judge(seed, ["numpy", *({"native"} & {*available_backends()})], differences=seed % 5 == 0)


@once
def test_random_graphs_on_numba() -> None:
    if "numba" not in available_backends():
        pytest.skip("Numba is not installed")
    for seed in range(40):
        graphs.judge(seed, ["numba"], differences=False)
