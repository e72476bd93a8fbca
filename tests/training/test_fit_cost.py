"""What the training loop costs: no Python per batch, no allocation, other threads run."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from backpass.training import loops
from helpers.backends import needs_linux, needs_native, not_under_asan
from helpers.nets import LABELS, X, Y, digest, small, step_of_a_run, with_everything
from helpers.processes import ENVIRONMENT


def events(batches: int) -> int:
    """Python and C calls that a profiler sees during a fit of so many batches."""
    model = small(backend="native")
    model.fit(X, Y, batch_size=7)
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1

    x, y = np.resize(X, (7 * batches, 6)), np.resize(Y, (7 * batches, 3))
    sys.setprofile(count)
    try:
        model.fit(x, y, batch_size=7)
    finally:
        sys.setprofile(None)
    assert model.engine.step_count[0] == 10 + batches
    return seen


@needs_native
def test_no_python_call_per_batch(
    record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        loops, "SLICE_SECONDS", 100.0
    )  # one slice after the first step, however slow the machine
    events(1000)  # sizes are inferred when they are first seen (`ops/contract.py`)
    few, many = events(10), events(1000)
    record_property("events with 10 and 1000 batches", (few, many))
    assert abs(many - few) <= 50, f"{few} events with 10 batches, {many} with 1000"


@needs_native
def test_other_python_threads_keep_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "SLICE_SECONDS", 100.0)
    model = bp.Model(
        nn.Sequential(nn.Linear(6, 128), nn.ReLU(), nn.Linear(128, 3)), backend="native", threads=1
    )
    x, y = np.resize(X, (400_000, 6)), np.resize(Y, (400_000, 3))
    stop, ticks = threading.Event(), 0

    def count() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.001)

    other = threading.Thread(target=count)
    other.start()
    started = time.perf_counter()
    model.fit(x, y, epochs=5, batch_size=50)
    seconds = time.perf_counter() - started
    stop.set()
    other.join()
    assert ticks > 5
    assert ticks > seconds / 0.001 / 20, f"{ticks} ticks of a millisecond in {seconds:.3f} s"


@needs_native
def test_two_fits_at_once() -> None:
    """The pool serves one model at a time; the other runs in its own thread, to the same bits."""
    x, y = np.resize(X, (2000, 6)), np.resize(LABELS, 2000)

    def trained() -> bp.Model:
        model = bp.Model(with_everything(), "cross_entropy", backend="native", threads=2)
        model.fit(x, y, epochs=2, batch_size=100)
        return model

    alone, together = trained(), []
    threads = [threading.Thread(target=lambda: together.append(trained())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [digest(m) for m in together] == [digest(alone)] * 3


@needs_native
def test_nothing_is_allocated_by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    model = bp.Model(with_everything(), "cross_entropy", backend="native")
    executor = step_of_a_run(model, X, LABELS, 10)
    executor.run(1, 0)
    kept, peaks = [], []
    # Several times, because tracemalloc counts other threads as well: that of pytest-xdist allocates now and then.
    for _ in range(5):
        tracemalloc.start()
        try:
            executor.run(1, 0)
            before = tracemalloc.get_traced_memory()[0]
            executor.run(2000, 0)
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        kept.append(after - before)
        peaks.append(peak - before)
    assert min(kept) < 500
    assert min(peaks) < 1000


COUNTER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
static long count;
long allocations(void) { return count; }
extern void* __libc_malloc(size_t); extern void* __libc_calloc(size_t, size_t); extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);
static void tick(void) { __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED); }
void* malloc(size_t n) { tick(); return __libc_malloc(n); }
void* calloc(size_t n, size_t m) { tick(); return __libc_calloc(n, m); }
void* realloc(void* p, size_t n) { tick(); return __libc_realloc(p, n); }
void* aligned_alloc(size_t a, size_t n) { tick(); return __libc_memalign(a, n); }
void* memalign(size_t a, size_t n) { tick(); return __libc_memalign(a, n); }
int posix_memalign(void** p, size_t a, size_t n) { tick(); *p = __libc_memalign(a, n); return *p ? 0 : 12; }
"""

COUNTING = """
import ctypes, os, sys
import numpy as np, backpass as bp
from backpass import nn, optim
from helpers.nets import step_of_a_run
width = 128
net = nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.3),
    nn.Residual(nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width)), nn.Linear(width, 3))
optimizer = optim.NAdam(lr=optim.schedules.cosine(1e-3, 100), clip_grad_norm=1.0)
model = bp.Model(net, "cross_entropy", optimizer, backend="native", threads=2)
X = np.zeros((400, 6), np.float32); y = np.zeros(400, np.int64)
executor = step_of_a_run(model, X, y, 200)
allocations = ctypes.CDLL(None).allocations
allocations.restype = ctypes.c_long
executor.run(1, 2); executor.run(5, 2)
def during(steps):
    before = allocations(); executor.run(steps, 2); return allocations() - before
print(during(10), during(300))
"""


@needs_native
@needs_linux
@not_under_asan("it has a malloc of its own, and has to come first")
def test_nothing_is_allocated_after_the_first_step(tmp_path: Path) -> None:
    """Counted inside malloc itself: a call of 300 steps makes as many allocations as one of 10."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler to count allocations with")
    (tmp_path / "count.c").write_text(COUNTER)
    library = tmp_path / "count.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-fno-builtin", "-o", library, tmp_path / "count.c", "-ldl"],
        check=True,
    )
    code = [sys.executable, "-c", COUNTING]
    done = subprocess.run(
        code, env=ENVIRONMENT | {"LD_PRELOAD": str(library)}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    few, many = map(int, done.stdout.split())
    assert few < 20
    assert many <= few + 2, f"{few} allocations in 10 steps, {many} in 300"


@needs_native
@needs_linux
def test_memory_does_not_grow() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    model = small(backend="native")
    model.fit(X, Y, epochs=5, batch_size=7)
    before = resident()
    model.fit(X, Y, epochs=2000, batch_size=7)
    assert resident() - before < 4 << 20


def test_no_flush_to_zero_is_left_on(backend: Backend) -> None:
    model = small()
    model.backend = backend
    model.fit(X, Y, epochs=2, batch_size=7)
    model.predict(X)
    for dtype in (np.float32, np.float64):
        tiny = np.full(64, np.finfo(dtype).smallest_subnormal * 4, dtype)
        assert (tiny / 2 > 0).all()
        assert (tiny + tiny > 0).all()
    assert ctypes.c_float(1e-45).value > 0
