"""Models in several processes and threads: fork, spawn, joblib, two threads with a model each, and two with one."""

import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.backends import once
from helpers.processes import ENVIRONMENT, LONG, X, Y, train

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
pytestmark = once


def in_child(what: Callable[[], bytes]) -> bytes:
    """What a forked child finds, through a pipe."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, what()[:32])
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    return found


# ---- processes --------------------------------------------------------------------------------------------------------------


@needs_fork
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_fit_in_a_forked_child_after_fit_in_the_parent() -> None:
    """tests/long/forks.py does it 100 times, and takes the time of both."""
    mine = train(0)
    for _ in range(3):
        assert in_child(lambda: train(0)) == mine[:32]
    assert train(0) == mine


@needs_fork
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_model_goes_on_in_a_forked_child() -> None:
    model = bp.Model(
        nn.Sequential(nn.Linear(20, 96), nn.Tanh(), nn.Linear(96, 3)), "cross_entropy", threads=2
    )
    model.fit(X, Y, batch_size=100)
    child = in_child(lambda: np.array(model.fit(X, Y, batch_size=100).history["loss"]).tobytes())
    assert child == np.array(model.fit(X, Y, batch_size=100).history["loss"]).tobytes()[:32]


@needs_fork
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_model_in_use_by_another_thread_stays_in_use_in_the_child() -> None:
    model = bp.Model(nn.Linear(20, 3), "cross_entropy")
    inside, leave = threading.Event(), threading.Event()

    class Wait(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            inside.set()
            leave.wait(30)

    def refusal() -> bytes:
        try:
            model.predict(X)
        except RuntimeError as error:
            return str(error).encode()
        return b"computed"

    thread = threading.Thread(target=lambda: model.fit(X, Y, callbacks=[Wait()]))
    thread.start()
    try:
        assert inside.wait(30)
        assert in_child(refusal).startswith(b"the model is in use by another")
    finally:
        leave.set()
        thread.join()


@pytest.mark.parametrize("method", ["spawn", pytest.param("fork", marks=needs_fork)])
def test_multiprocessing(method: str) -> None:
    command = [sys.executable, "-W", "ignore", str(LONG / "pool.py"), method]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "the same\n", done.stderr


@pytest.mark.parametrize("kind", ["loky", "threading"])
def test_joblib(kind: str) -> None:
    """loky pickles `train` by its module's name, and limits each process to its share of the CPUs."""
    joblib = pytest.importorskip("joblib", reason="comes with scikit-learn")
    mine = [train(seed) for seed in range(3)]
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = ENVIRONMENT["PYTHONPATH"]
    try:
        assert (
            joblib.Parallel(n_jobs=2, backend=kind)(joblib.delayed(train)(seed) for seed in range(3)) == mine
        )
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
        if kind == "loky":
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True)


# ---- threads ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", bp.available_backends())
def test_two_threads_two_models(name: str) -> None:
    alone = [train(seed, name) for seed in (0, 1)]
    found: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda s=seed: found.update({s: train(s, name)})) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[0], found[1]] == alone


@pytest.mark.parametrize("name", bp.available_backends())
def test_one_model_two_threads(name: str) -> None:
    """A second thread is told so, or gets the right numbers; the first is not disturbed."""
    model = bp.Model(
        nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 3)), "cross_entropy", backend=name
    )
    x = X[:512]
    right, wrong, refused, done = model.predict(x), [], [], [0]
    calls: list[Callable[[], Any]] = [
        lambda: model.predict(x),
        lambda: model.forward(x),
        lambda: model.evaluate(x, Y[:512]),
    ]

    def use() -> None:
        for number in range(150):
            try:
                out = calls[number % 3]()
            except RuntimeError as error:
                refused.append(str(error))
            else:
                done[0] += 1
                if number % 3 < 2 and not np.array_equal(out, right):
                    wrong.append(number)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert done[0] + len(refused) == 450
    assert all("in use by another thread" in message for message in refused)
    assert np.array_equal(model.predict(x), right)


def test_every_method_is_refused_while_fit_runs_elsewhere() -> None:
    model = bp.Model(nn.Linear(20, 3), "cross_entropy")
    inside, leave = threading.Event(), threading.Event()

    class Wait(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            assert model.predict(X).shape == (600, 3)  # the same thread may
            assert model.evaluate(X, Y)["loss"] > 0
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=lambda: model.fit(X, Y, callbacks=[Wait()]))
    thread.start()
    assert inside.wait(30)
    calls: dict[str, Callable[[], Any]] = {
        "fit": lambda: model.fit(X, Y),
        "step": lambda: model.step(X, Y),
        "forward": lambda: model.forward(X, training=True),
        "backward": lambda: model.backward(X[:, :3]),
        "update": lambda: model.update(),
        "predict": lambda: model.predict(X),
        "evaluate": lambda: model.evaluate(X, Y),
        "state_dict": lambda: model.state_dict(),
        "load_state_dict": lambda: model.load_state_dict({}),
        "save": lambda: model.save("/nowhere/x"),
    }
    try:
        for call in calls.values():
            with pytest.raises(RuntimeError, match="in use by another thread"):
                call()
    finally:
        leave.set()
        thread.join()
    model.fit(X, Y)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="only a free-threaded Python can lose the GIL"
)
def test_a_free_threaded_python_stays_one() -> None:
    """In a process of its own: another package of the test suite may switch the GIL on."""
    script = (
        "import sys, numpy as np, backpass as bp\n"
        "before = sys._is_gil_enabled()\n"
        "bp.Model(bp.nn.Linear(2, 1), backend='native').fit(np.ones((4, 2)), np.ones(4), progress=False)\n"
        "print(before, sys._is_gil_enabled())"
    )
    env = {k: v for k, v in os.environ.items() if k != "PYTHON_GIL"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["False", "False"], done.stderr
