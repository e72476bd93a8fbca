"""The choice of a backend and of an instruction set."""

import os

import pytest

import backpass as bp
from backpass.backends import Backend, choice


def test_the_forced_instruction_set_is_the_one_in_use() -> None:
    if "native" not in bp.available_backends():
        pytest.skip(f"no native backend: {bp.backends.why_missing('native')}")
    from backpass.backends.native import NativeBackend, available_isas

    native = bp.get_backend("native")
    assert isinstance(native, NativeBackend)
    assert native.isa == (os.environ.get("BACKPASS_ISA") or available_isas()[0])
    with pytest.raises(ValueError, match="avx1024"):
        NativeBackend("avx1024")


def test_every_row_is_a_backend_of_its_own(native: Backend) -> None:
    from backpass.backends.native import NativeBackend

    assert isinstance(native, NativeBackend)
    assert NativeBackend(native.isa).isa == native.isa


def test_auto_is_the_fastest_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKPASS_BACKEND", raising=False)
    assert bp.get_backend().name == bp.available_backends()[0]
    with bp.use_backend("numpy"):
        assert bp.get_backend().name == "numpy"
    assert bp.get_backend().name == bp.available_backends()[0]
    monkeypatch.setenv("BACKPASS_BACKEND", "numpy")
    assert bp.get_backend().name == "numpy"


def test_unknown_and_missing_backends_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"'cuda'.*native.*numba.*numpy"):
        bp.get_backend("cuda")
    monkeypatch.setitem(choice._missing, "numba", "No module named 'numba'")
    monkeypatch.delitem(choice._made, "numba", raising=False)
    with pytest.raises(RuntimeError, match=r"No module named 'numba'.*pip install 'backpass\[numba\]'"):
        bp.get_backend("numba")
    assert "numba" not in bp.available_backends()
