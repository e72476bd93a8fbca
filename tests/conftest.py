"""Fixtures: every backend that works here, each native instruction set counted as a backend of its own."""

import os
from pathlib import Path

import pytest

import backpass as bp
from backpass.backends import Backend


def all_backends() -> dict[str, Backend]:
    """Backend objects by test name; only the native one if BACKPASS_ISA forces an instruction set."""
    made: dict[str, Backend] = {}
    if forced := os.environ.get("BACKPASS_ISA"):
        return {f"native-{forced}": bp.get_backend("native")}
    for name in bp.available_backends():
        if name == "native":
            from backpass.backends.native import NativeBackend, available_isas

            made |= {f"native-{isa}": NativeBackend(isa) for isa in available_isas()}
        else:
            made[name] = bp.get_backend(name)
    return made


BACKENDS = all_backends()


@pytest.fixture(params=[*BACKENDS])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend in turn."""
    return BACKENDS[request.param]


@pytest.fixture(params=[name for name in BACKENDS if name.startswith("native")])
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


UNDER_ASAN = "libasan" in os.environ.get("LD_PRELOAD", "")  # nox -s asan


def not_under_asan(reason: str) -> pytest.MarkDecorator:
    """Skips what AddressSanitizer itself makes impossible; all else runs under it."""
    return pytest.mark.skipif(UNDER_ASAN, reason=f"AddressSanitizer: {reason}")


once = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="depends on no kernel: runs once, where no instruction set is forced"
)
