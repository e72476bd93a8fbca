"""Fixtures: every backend that works here, each native instruction set counted as a backend of its own; the data folder.

A test marked with the name of an optional library is skipped where that is not installed.
"""

import importlib.util
import os
from pathlib import Path

# Before NumPy is imported, and for child processes: where all cores are busy, as under xdist, a second thread of its BLAS waits
# for its turn by spinning, and small products take ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Pictures are drawn and not shown: a window would wait for somebody to close it.
os.environ["MPLBACKEND"] = "Agg"

import pytest

from backpass.backends import Backend
from helpers.backends import BACKENDS, NATIVE


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marker names a library that is missing."""
    for library in ("torch", "keras"):
        if item.get_closest_marker(library) and not importlib.util.find_spec(library):
            pytest.skip(f"{library} is not installed: what is compared with it is skipped")
    # Weights at random are the same in every run: in float32 some draws miss a tolerance.
    if item.get_closest_marker("torch"):
        importlib.import_module("torch").manual_seed(0)
    if item.get_closest_marker("keras") and importlib.util.find_spec("torch"):
        importlib.import_module("keras").utils.set_random_seed(0)


@pytest.fixture(params=[*BACKENDS])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend in turn."""
    return BACKENDS[request.param]


@pytest.fixture(params=NATIVE)
def native(request: pytest.FixtureRequest) -> Backend:
    """Every instruction set of the native backend in turn."""
    return BACKENDS[request.param]


@pytest.fixture
def data_dir() -> Path:
    """The folder of real data that BACKPASS_DATA names."""
    path = os.environ.get("BACKPASS_DATA", "")
    if not path or not Path(path).is_dir():
        pytest.skip("BACKPASS_DATA names no folder: the tests on real data are skipped")
    return Path(path)
