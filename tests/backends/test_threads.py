"""How many threads: environment, affinity, container quota; that the native backend hears of it; the same bits for any."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import backpass as bp
from backpass.backends import threads
from backpass.cli.workloads import WORKLOADS
from helpers.backends import BACKENDS, NATIVE, UNDER_ASAN


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variables, nothing chosen; afterwards what was chosen before."""
    before = bp.get_num_threads()
    for variable in threads.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(threads, "_chosen", 0)
    monkeypatch.setattr(threads, "affinity", lambda: 6)
    monkeypatch.setattr("backpass.system.quota.quota", lambda: None)
    yield
    monkeypatch.undo()
    bp.set_num_threads(before)


def native_threads() -> int:
    """What the compiled module was told."""
    pytest.importorskip("backpass._core", reason="the native backend is not built")
    from backpass.backends import native

    told: int = native._core.get_num_threads()
    return told


@pytest.mark.parametrize(
    ("backpass", "omp", "expected"),
    [("3", "5", 3), ("", "5", 5), (None, "5,2", 5), (" 4 ", None, 4), (None, None, 6)],
)
def test_environment(
    backpass: str | None, omp: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in zip(threads.VARIABLES, (backpass, omp), strict=True):
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert bp.get_num_threads() == expected
    assert native_threads() == expected


@pytest.mark.parametrize("variable", threads.VARIABLES)
@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "99999", "²"])
def test_invalid_environment_names_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"{variable} is '{value}', expected an integer from 1"):
        bp.get_num_threads()


@pytest.mark.parametrize(("limit", "expected"), [(None, 6), (0.5, 1), (1.5, 1), (2.0, 2), (100.0, 6)])
def test_quota_cuts_affinity(limit: float | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backpass.system.quota.quota", lambda: limit)
    assert threads.default_num_threads() == expected


def test_set_num_threads() -> None:
    bp.set_num_threads(3)
    assert bp.get_num_threads() == 3
    assert native_threads() == 3


@pytest.mark.parametrize("n", [0, -1, 1.0, "2", True, None, 100_000])
def test_set_num_threads_refuses(n: object) -> None:
    with pytest.raises(ValueError, match=r"n is .*, expected an integer from 1"):
        bp.set_num_threads(n)  # type: ignore[arg-type]


def test_a_model_tells_native_the_default_before_its_first_run() -> None:
    pytest.importorskip("backpass._core", reason="the native backend is not built")
    code = (
        "import backpass as bp; from backpass.backends import native; assert native._core.get_num_threads() == 1;"
        "bp.Model(bp.nn.Linear(2, 1), backend='native'); print(native._core.get_num_threads())"
    )
    environment = {
        "PYTHONPATH": str(Path(bp.__file__).parent.parent),
        "BACKPASS_NUM_THREADS": "7",
        "PATH": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["7"]


@pytest.mark.skipif(
    "native" not in bp.available_backends(), reason="only the native backend has threads of its own"
)
@pytest.mark.parametrize("first", ["threadpoolctl", "backpass"])
def test_threadpoolctl_sees_and_steers(first: str) -> None:
    pytest.importorskip("threadpoolctl")
    second = {"threadpoolctl": "backpass", "backpass": "threadpoolctl"}[first]
    code = f"""
import {first}, {second}, backpass as bp
from threadpoolctl import threadpool_info, threadpool_limits
bp.set_num_threads(3)
bp.Model(bp.nn.Linear(2, 1))
found, = [info for info in threadpool_info() if info["user_api"] == "backpass"]
assert (found["num_threads"], found["version"]) == (3, bp.__version__), found
with threadpool_limits(1):
    assert bp.get_num_threads() == 1
with threadpool_limits(2, user_api="backpass"):
    assert bp.get_num_threads() == 2
assert bp.get_num_threads() == 3
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def workloads() -> Iterator[Any]:
    """Each workload on each instruction set; the slow ones, whose kernels are those of the others, on the best alone."""
    for number, on in enumerate(NATIVE):
        for name, workload in WORKLOADS.items():
            if not (number and workload.slow):
                yield pytest.param(name, on, id=f"{on}-{name}")


@pytest.mark.parametrize(("name", "on"), workloads())
def test_the_same_bits_for_any_number_of_threads(name: str, on: str) -> None:
    if UNDER_ASAN and name in ("medium", "large"):
        pytest.skip("AddressSanitizer: minutes for each, with the kernels of the smaller ones")
    workload, native = WORKLOADS[name], BACKENDS[on]
    rows = workload.batch * (1 if workload.slow else 3)
    X, y = (array[:rows] for array in workload.data())
    found = []
    for count in (1, 2, 3, 8):
        model = workload.model("native", count)
        model.backend = native
        loss = model.fit(X, y, epochs=1 if workload.slow else 2, batch_size=workload.batch).history["loss"]
        found.append((loss, model.engine.flat.params.tobytes()))
    assert all(each == found[0] for each in found)
