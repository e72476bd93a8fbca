"""No memory left, and the end of the interpreter: the process ends or the model works on."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import backpass as bp
from helpers.backends import not_under_asan, once
from helpers.processes import ENVIRONMENT

pytestmark = once


def needs_limits(test: Callable[..., None]) -> Callable[..., None]:
    """On Linux, and where the limit is not used up by the sanitizer's own memory."""
    linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and limits the address space")
    return linux(not_under_asan("its own memory counts, too")(test))


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


@needs_limits
@pytest.mark.parametrize("name", bp.available_backends())
def test_out_of_memory(name: str) -> None:
    command = [sys.executable, "-c", LIMITED, name]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "usable\n", done.stderr[-2000:]


SAVING = """
import resource, sys, warnings
import numpy as np, backpass as bp
from backpass import nn
path, backend = sys.argv[1:]
model = bp.Model(nn.Linear(3000, 3000, bias=False), "mse", "sgd", backend=backend)  # 36 MB
X = np.ones((8, 3000), np.float32)
model.fit(X, X)
model.save(path)
before = open(path, "rb").read()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 6 * 2**20,) * 2)
for what in (lambda: model.save(path), lambda: bp.load(path, backend)):
    try:
        what()
    except (MemoryError, bp.CheckpointError) as error:
        print(type(error).__name__, end=" ")
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    try:
        model.fit(X, X, epochs=3, callbacks=[bp.ModelCheckpoint(path)])
    except MemoryError:  # at the end it is an error
        print(len(told), "training goes on" in str(told[0].message), model.epoch, end=" ")
print(open(path, "rb").read(100) == before[:100], np.isfinite(model.predict(X)).all())
"""


@needs_limits
def test_no_memory_to_save(tmp_path: Path) -> None:
    """The process stays, the old file stays, the run goes on; safetensors' own library would abort."""
    command = [sys.executable, "-c", SAVING, str(tmp_path / "run"), "auto"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "MemoryError CheckpointError 3 True 4 True True\n", (
        done.stdout + done.stderr[-2000:]
    )


# ---- the end of the interpreter ---------------------------------------------------------------------------------------------

LEFT_BEHIND = """
import sys, threading, time
import numpy as np, backpass as bp
from backpass import nn
what = sys.argv[1]
X, y = np.ones((20000, 64), np.float32), np.ones((20000, 8), np.float32)
model = bp.Model(nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 8)), "mse", threads=2)
model.fit(X[:200], y[:200])
def work():
    while True: model.predict(X) if what == "predict" else model.fit(X, y, epochs=10**6, batch_size=1000)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
print("the end")
"""


@pytest.mark.parametrize("what", ["fit", "predict"])
def test_the_interpreter_ends_while_a_thread_computes(what: str) -> None:
    """It never gives the thread the GIL again: before Python 3.14 it unwinds it, which C++ may answer with std::terminate."""
    command = [sys.executable, "-c", LEFT_BEHIND, what]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "the end\n"), done.stderr
