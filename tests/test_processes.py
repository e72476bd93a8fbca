"""Models in several processes and threads: fork, spawn, joblib, two threads and one model, signals, and no memory left."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import once

import backpass as bp
from backpass import nn, optim

LONG = Path(__file__).parent / "long"
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
X = np.random.default_rng(0).standard_normal((600, 20)).astype(np.float32)
Y = np.arange(600) % 3
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
pytestmark = once


def train(seed: int, backend: str = "auto", threads: int | None = 2) -> bytes:
    """The bytes of a trained network; wide enough that the thread pool has something to do."""
    net = nn.Sequential(nn.Linear(20, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, 3))
    model = bp.Model(net, "cross_entropy", optim.Adam(), seed=seed, backend=backend, threads=threads)
    model.fit(X, Y, epochs=2, batch_size=100)
    return b"".join(array.tobytes() for array in model.state_dict().values())


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
    right, wrong, refused, done = model.predict(x), [], [0], [0]
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
                assert "in use by another thread" in str(error)
                refused[0] += 1
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
    assert done[0] + refused[0] == 450
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


# ---- signals ----------------------------------------------------------------------------------------------------------------

TERMINATED = """
import signal, sys, time
import numpy as np, backpass as bp
from backpass import nn
class Told(Exception): pass
def handler(number, frame): raise Told
if sys.argv[1] == "handler": signal.signal(signal.SIGTERM, handler)
model = bp.Model(nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 4)), "mse", threads=int(sys.argv[2]))
X, y = np.ones((1000, 64), np.float32), np.ones((1000, 4), np.float32)
class Ready(bp.Callback):
    def on_epoch_begin(self, epoch, logs):
        if epoch == 1: print("ready", flush=True)
try:
    model.fit(X, y, epochs=10**6, callbacks=[Ready()])
except Told:
    before = int(model.step_count[0])
    model.fit(X, y, batch_size=1000)
    print(int(model.step_count[0]) - before, all(np.isfinite(v).all() for v in model.parameters()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to be handled on Windows")
@pytest.mark.parametrize("way", ["default", "handler"])
@pytest.mark.parametrize("threads", [1, 2])
def test_sigterm(way: str, threads: int) -> None:
    """Without a handler the process ends at once; with one that raises, fit stops at the next slice and the model is whole."""
    command = [sys.executable, "-c", TERMINATED, way, str(threads)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "ready\n"
            time.sleep(0.1)
            sent = time.perf_counter()
            child.send_signal(signal.SIGTERM)
            answer, _ = child.communicate(timeout=30)
        finally:
            child.kill()
    seconds = time.perf_counter() - sent
    assert (answer, child.returncode) == (("1 True\n", 0) if way == "handler" else ("", -signal.SIGTERM))
    assert seconds < 3, seconds  # the interpreter's own end included


# ---- no memory --------------------------------------------------------------------------------------------------------------

LIMITED = """
import resource, sys
import numpy as np, backpass as bp
from backpass import nn
model = bp.Model(nn.Linear(100, 100), "mse", backend=sys.argv[1], threads=2)
X = np.ones((20_000, 100), np.float32)
model.fit(X, X)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)
def attempt(what):
    try:
        what()
    except MemoryError:
        return
    sys.exit("no MemoryError")
attempt(lambda: bp.Model(nn.Linear(10_000, 40_000)))
attempt(lambda: bp.Model(nn.Linear(2**40, 2**40)))
attempt(lambda: bp.Model(nn.Linear(2**62, 2)))
attempt(lambda: bp.Model(nn.BatchNorm1d(2**61)))
wide = bp.Model(nn.Sequential(nn.Linear(100, 50_000, bias=False), nn.Linear(50_000, 1, bias=False)), backend=sys.argv[1])
attempt(lambda: wide.fit(X, X[:, :1], batch_size=20_000))
attempt(lambda: wide.step(X, X[:, :1]))
attempt(lambda: wide.forward(X, training=True))
attempt(lambda: model.predict(np.broadcast_to(np.float32(1), (10**9, 100))))
assert np.isfinite(wide.step(X[:4], X[:4, :1]))
assert np.isfinite(model.fit(X, X).history["loss"]).all()
bp.set_num_threads(1000)  # workers that cannot be had are done without
big = bp.Model(nn.Linear(100, 600), "mse", backend=sys.argv[1])
big.fit(X[:4000], np.ones((4000, 600), np.float32), batch_size=2000)
print("usable")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and limits the address space")
@pytest.mark.parametrize("name", bp.available_backends())
def test_out_of_memory(name: str) -> None:
    command = [sys.executable, "-c", LIMITED, name]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "usable\n", done.stderr[-2000:]
