"""Every backend that works here, each native instruction set counted as one of its own, and the marks of what a test needs."""

import os
import sys

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
NATIVE = [name for name in BACKENDS if name.startswith("native")]
UNDER_ASAN = "libasan" in os.environ.get("LD_PRELOAD", "")  # nox -s asan


def not_under_asan(reason: str) -> pytest.MarkDecorator:
    """Skips what AddressSanitizer itself makes impossible; all else runs under it."""
    return pytest.mark.skipif(UNDER_ASAN, reason=f"AddressSanitizer: {reason}")


once = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="depends on no kernel: runs once, where no instruction set is forced"
)
needs_native = pytest.mark.skipif(
    "native" not in bp.available_backends(), reason="the native backend is not there"
)
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="counts allocations through glibc")
