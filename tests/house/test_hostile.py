"""Hostile input: a clear error, or what a plain copy of the same numbers gives, on every backend (more: long/inputs.py)."""

import contextlib
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from helpers import arguments, attacks
from helpers.backends import once
from helpers.processes import ENVIRONMENT, LONG

SEEDS = st.integers(0, 2**32 - 1)
QUICK = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
X = np.random.default_rng(0).standard_normal((40, 4))
Y = np.arange(40) % 3


def model(backend: Backend) -> bp.Model:
    """Four features, three classes."""
    made = bp.Model(
        nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), "cross_entropy", backend="numpy"
    )
    made.backend = backend
    return made


@given(seed=SEEDS)
@settings(QUICK, max_examples=150)
def test_arrays(backend: Backend, seed: int) -> None:
    attacks.attack(random.Random(seed), backend)


@once
@given(seed=SEEDS)
@settings(QUICK, max_examples=300)
def test_arguments(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    with contextlib.chdir(tmp_path_factory.getbasetemp()):  # what is saved under an odd name
        arguments.attack(random.Random(seed), bp.get_backend())


@once
def test_every_public_name_is_attacked() -> None:
    """What takes arguments is in the attack on arrays, in that on arguments, or in a list that says why not."""
    arrays = set().union(*(entry.__code__.co_names for entry in attacks.ENTRIES.values()))
    attacked = [*arguments.CALLABLES.values()]
    left = {
        name
        for name, value in arguments.public()
        if name not in arguments.CALLABLES
        and value not in attacked
        and not (name.startswith(("Model.", "bp.")) and name.split(".")[1] in arrays)
    }
    plots = {f"{group}.{name}" for group, names in arguments.PLOTS.items() for name in names}
    assert left - plots == set(arguments.NOT_ATTACKED)


FOUND = [  # by tests/long/inputs.py: name, argument, value
    ("bp.EarlyStopping", "mode", np.array([1.0, 2.0, 3.0])),
    ("bp.GradientMonitor", "every", np.array([1.0, 2.0, 3.0])),
    ("bp.CSVLogger", "path", 1),  # `open` would write to the standard output
    ("bp.load", "net", 5),
    ("losses.OutputLosses", "losses", -0.5),
    ("optim.Adam", "eps_hat", np.array([1.0, 2.0, 3.0])),
    ("optim.NAdam", "decoupled_weight_decay", "x"),
    ("Model.save", "path", "\ud800"),
    ("Model.backend", "backend", "x"),
    ("Model.backend", "backend", 1),
    ("bp.set_backend", "name", np.array([1.0, 2.0, 3.0])),
    ("Model.fit", "resume", np.array([1.0, 2.0, 3.0])),
    ("sklearn.MLPClassifier", "hidden_layer_sizes", (0.9, 0.999)),
    ("sklearn.MLPRegressor", "tol", 10**400),
    ("sklearn.ELMClassifier", "class_weight", {0: -1.0}),
    ("sklearn.ELMRegressor", "random_state", 0.5),
]


@once
@pytest.mark.parametrize(("name", "key", "value"), FOUND)
def test_arguments_that_were_let_through(name: str, key: str, value: Any) -> None:
    if name not in arguments.CALLABLES:
        pytest.skip("scikit-learn is not installed")
    found = arguments.judge(name, arguments.arguments(name)[0], {key: value}, bp.get_backend())
    assert found in ("refused with TypeError", "refused with ValueError")


@once
@pytest.mark.skipif("threadpool_limits" not in arguments.CALLABLES, reason="threadpoolctl is not installed")
@pytest.mark.parametrize(
    ("limits", "found"), [("x", "refused with TypeError"), (10**6, "works"), (-1, "works")]
)
def test_odd_numbers_of_threads_from_threadpoolctl(limits: Any, found: str) -> None:
    """ctypes would hand the address of a text over as a number of threads."""
    assert arguments.judge("threadpool_limits", {}, {"limits": limits}, bp.get_backend()) == found


@once
@pytest.mark.skipif(sys.platform == "win32", reason="no mprotect on Windows")
def test_programs() -> None:
    """In a process of its own: what a kernel touches beyond its arrays would end it."""
    pytest.importorskip("backpass._core", reason="the native backend is not built")
    command = [sys.executable, str(LONG / "programs.py"), "--cases", "500", "--seed", "1"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@once
def test_the_attacks_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that reads an array wrongly is caught."""
    from backpass.data import arrays as data

    backend = bp.get_backend("numpy")
    monkeypatch.setattr(
        data,
        "quiet_cast",
        lambda array, dtype: (
            np.array(array, dtype=dtype, order="C").reshape(array.shape)
            + 1e-3 * (not array.flags.c_contiguous)
        ),
    )

    def attack() -> None:
        for seed in range(400):
            attacks.attack(random.Random(seed), backend)

    with pytest.raises(AssertionError, match="another result"):
        attack()


# ---- numbers that are extreme -----------------------------------------------------------------------------------------------


def test_denormals_and_huge_numbers_are_not_changed_on_the_way(backend: Backend) -> None:
    made = bp.Model(nn.Identity(), "mse", backend="numpy", dtype="float64")
    made.backend = backend
    extreme = np.array([[5e-324, -2.2e-308, 1.7e308, -0.0]])
    assert made.predict(extreme).tobytes() == extreme.tobytes()


# ---- data that change while `fit` runs --------------------------------------------------------------------------------------


def test_data_rewritten_by_another_thread(backend: Backend) -> None:
    """The numbers are anybody's guess, but nothing crashes and nothing but a known error comes out; a resize is refused."""
    x, y = X.astype(np.float32), Y.copy()
    stop = threading.Event()

    def rewrite() -> None:
        chance = random.Random(0)
        while not stop.is_set():
            x[chance.randrange(40)] = chance.choice([0, 1e30, np.nan])
            y[chance.randrange(40)] = chance.choice([0, 1, 2, 3, -1, 2**62, -(2**62)])

    class Resize(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            with pytest.raises(ValueError, match="resize"):
                x.resize(10**6)

    made, thread = model(backend), threading.Thread(target=rewrite)
    made.fit(x, y, callbacks=[Resize()])
    thread.start()
    try:
        for _ in range(30):
            try:
                made.fit(x, y, epochs=20, batch_size=4)
            except (bp.NonFiniteError, ValueError, IndexError):
                made = model(backend)
    finally:
        stop.set()
        thread.join()
    assert np.isfinite(model(backend).fit(X, Y).history["loss"]).all()


# ---- callbacks --------------------------------------------------------------------------------------------------------------

MOMENTS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_end",
    "on_slice_end",
    "on_epoch_end",
    "on_train_end",
    "pace",
]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, StopIteration, MemoryError])
def test_a_callback_that_raises(backend: Backend, moment: str, kind: type[BaseException]) -> None:
    """Its own exception comes out, and the model trains on."""

    def fail(self: Any, *arguments: Any) -> None:
        raise kind("mine")

    if (moment, kind) == ("pace", StopIteration):
        pytest.skip("Python itself makes a RuntimeError of it, in a generator")
    made = model(backend)
    with pytest.raises(kind, match="mine"):
        made.fit(X, Y, epochs=2, batch_size=10, callbacks=[type("Broken", (bp.Callback,), {moment: fail})()])
    assert np.isfinite(made.fit(X, Y).history["loss"]).all()


# ---- a memory map whose file is cut off -------------------------------------------------------------------------------------

CUT_OFF = """
import os, sys, signal
import numpy as np, backpass as bp
from backpass import nn
np.ones((100_000, 4), np.float32).tofile(sys.argv[1])
X = np.memmap(sys.argv[1], np.float32, "r", shape=(100_000, 4))
os.truncate(sys.argv[1], 4096)
print("cut", flush=True)
bp.Model(nn.Linear(4, 1)).fit(X, np.ones(100_000))
"""


@once
@pytest.mark.skipif(
    sys.platform != "linux", reason="what the system does to a map of a file that was cut off is Linux's"
)
def test_a_memory_map_cut_off_ends_the_process(tmp_path: Path) -> None:
    """SIGBUS is the system's answer, and no library can turn it into an exception: never a wrong number (docs/guarantees.md)."""
    import signal

    done = subprocess.run(
        [sys.executable, "-c", CUT_OFF, str(tmp_path / "x")],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "cut\n"
    assert done.returncode == -signal.SIGBUS


def test_a_memory_map_longer_than_its_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(64))
    with pytest.raises(ValueError, match="length"):
        np.memmap(tmp_path / "x", np.float32, "r", shape=(100, 4))
