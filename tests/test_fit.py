"""The training loop: no Python per batch, no allocation, the same bits for any number of threads, interruptible."""

import ctypes
import hashlib
import os
import shutil
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

import backpass as bp
from backpass import loop, nn, optim, sampling
from backpass.backends import Backend

RNG = np.random.default_rng(0)
X = RNG.standard_normal((70, 6)).astype(np.float32)
Y = RNG.standard_normal((70, 2)).astype(np.float32)
LABELS = RNG.integers(0, 3, 70)
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(Path(bp.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
}
needs_native = pytest.mark.skipif(
    "native" not in bp.available_backends(), reason="the native backend is not there"
)
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="counts allocations through glibc")


def small(loss: Any = "mse", outputs: int = 2, **arguments: Any) -> bp.Model:
    return bp.Model(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs)), loss, **arguments)


def with_everything(width: int = 64) -> nn.Layer:
    return nn.Sequential(
        nn.Linear(6, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.3),
        nn.Residual(nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width), nn.Dropout(0.2)), nn.Linear(width, 3),
    )  # fmt: skip


def digest(model: bp.Model) -> str:
    parts = [v.tobytes() for v in model.state_dict().values()] + [
        v.tobytes() for v in model.optimizer_state.values()
    ]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def same_weights(a: bp.Model, b: bp.Model) -> bool:
    return all(np.array_equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


# ---- what the loop costs ----------------------------------------------------------------------------------------


def events(batches: int) -> int:
    """Python and C calls that a profiler sees during a fit of so many batches."""
    model = small(backend="native")
    model.fit(X, Y, batch_size=7)
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1

    x, y = np.resize(X, (7 * batches, 6)), np.resize(Y, (7 * batches, 2))
    sys.setprofile(count)
    try:
        model.fit(x, y, batch_size=7)
    finally:
        sys.setprofile(None)
    assert model.step_count[0] == 10 + batches
    return seen


@needs_native
def test_no_python_call_per_batch(
    record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        loop, "SLICE_SECONDS", 100.0
    )  # one slice after the first step, however slow the machine
    few, many = events(10), events(1000)
    record_property("events with 10 and 1000 batches", (few, many))
    assert abs(many - few) <= 50, f"{few} events with 10 batches, {many} with 1000"


@needs_native
def test_other_python_threads_keep_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SLICE_SECONDS", 100.0)
    model = bp.Model(
        nn.Sequential(nn.Linear(6, 128), nn.ReLU(), nn.Linear(128, 2)), backend="native", threads=1
    )
    x, y = np.resize(X, (400_000, 6)), np.resize(Y, (400_000, 2))
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
    feed = loop.new_feed(X, LABELS)
    executor = loop.ProgramLoop(model, feed, 10, sampling.Order(model, feed.index, False)).programs[10][0]
    executor.run(1, 0)
    tracemalloc.start()
    try:
        executor.run(1, 0)
        before = tracemalloc.get_traced_memory()
        executor.run(2000, 0)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before[0] < 500
    assert peak - before[0] < 1000


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
from backpass import loop, nn, optim, sampling
width = 128
net = nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.3),
    nn.Residual(nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width)), nn.Linear(width, 3))
optimizer = optim.NAdam(lr=optim.schedules.cosine(1e-3, 100), clip_grad_norm=1.0)
model = bp.Model(net, "cross_entropy", optimizer, backend="native", threads=2)
X = np.zeros((400, 6), np.float32); y = np.zeros(400, np.int64)
feed = loop.new_feed(X, y)
executor = loop.ProgramLoop(model, feed, 200, sampling.Order(model, feed.index, False)).programs[200][0]
allocations = ctypes.CDLL(None).allocations
allocations.restype = ctypes.c_long
executor.run(1, 2); executor.run(5, 2)
def during(steps):
    before = allocations(); executor.run(steps, 2); return allocations() - before
print(during(10), during(300))
"""


@needs_native
@needs_linux
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


# ---- the same bits ----------------------------------------------------------------------------------------------


def train_everything(
    threads: int | None = None, seed: int = 5, dtype: str = "float32", width: int = 64
) -> bp.Model:
    x, y = np.resize(X, (1000, 6)), np.resize(LABELS, 1000)
    optimizer = optim.AdamW(lr=optim.schedules.warmup_cosine(1e-2, 5, 30), clip_grad_norm=0.5)
    model = bp.Model(
        with_everything(width),
        "cross_entropy",
        optimizer,
        backend="native",
        threads=threads,
        seed=seed,
        dtype=dtype,
    )
    model.fit(x, y, epochs=2, batch_size=300)
    return model


@needs_native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_for_any_number_of_threads(dtype: str) -> None:
    """Wide enough that every op is worth threads; 1000 rows in batches of 300 leave a partial batch."""
    digests = {
        threads: digest(train_everything(threads, dtype=dtype, width=200)) for threads in (1, 2, 3, 8, None)
    }
    assert len(set(digests.values())) == 1, digests


@needs_native
def test_same_bits_in_another_process() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_fit;"
        "print(test_fit.digest(test_fit.train_everything(2)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest(train_everything(1)) == digest(train_everything(1))


@needs_native
def test_another_seed_differs() -> None:
    assert digest(train_everything(seed=5)) != digest(train_everything(seed=6))


@needs_native
def test_slices_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """One program call for an epoch, or one for each step (a callback that wants every batch): the same bits."""
    x, y = np.resize(X, (300, 6)), np.resize(LABELS, 300)

    class EveryBatch(bp.Callback):
        seen = 0

        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            assert batch == self.seen % 30
            assert np.isfinite(logs["loss"])
            self.seen += 1

    def trained(*callbacks: bp.Callback) -> bp.Model:
        model = bp.Model(with_everything(), "cross_entropy", backend="native")
        model.fit(x, y, epochs=3, batch_size=10, callbacks=callbacks)
        return model

    watcher = EveryBatch()
    monkeypatch.setattr(loop, "SLICE_SECONDS", 100.0)
    whole = trained()
    assert digest(whole) == digest(trained(watcher))
    assert watcher.seen == 90
    monkeypatch.setattr(loop, "SLICE_SECONDS", 1e-9)
    assert digest(whole) == digest(trained())


@needs_native
def test_fit_goes_on_where_it_stopped() -> None:
    once, twice = (bp.Model(with_everything(), "cross_entropy", backend="native") for _ in range(2))
    once.fit(X, LABELS, epochs=5, batch_size=16)
    history = twice.fit(X, LABELS, epochs=2, batch_size=16)
    assert history.epoch == [0, 1]
    history = twice.fit(X, LABELS, epochs=3, batch_size=16)
    assert history.epoch == [2, 3, 4]
    assert digest(once) == digest(twice)


# ---- the order of the rows ------------------------------------------------------------------------------------------


def order_of_rows(
    backend: Backend, rows: int, size: int, epochs: int, shuffle: bool, seed: int = 0
) -> list[list[int]]:
    """Which rows the loop took in each epoch, read from what a callback finds in the batch."""
    x = np.arange(1, rows + 1, dtype=np.float64)[:, None]
    model = bp.Model(nn.Sequential(nn.Linear(1, 1)), "mse", optim.SGD(lr=0.0), dtype="float64", seed=seed)
    model.backend = backend
    taken: list[list[int]] = []

    class Read(bp.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            taken.append([])

        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            count = min(size, rows - batch * size)
            plan = model.training_plan((count, 1), ((1,), np.dtype(np.float64)), False)
            assert plan.target is not None
            assert np.array_equal(plan.x, plan.target)
            taken[-1] += plan.x[:, 0].astype(int).tolist()

    model.fit(x, x, epochs=epochs, batch_size=size, shuffle=shuffle, callbacks=[Read()])
    return taken


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (7, 7), (10, 3), (129, 32), (64, 64), (65, 64)])
def test_order_of_rows(backend: Backend, rows: int, size: int) -> None:
    plain = list(range(1, rows + 1))
    assert order_of_rows(backend, rows, size, 2, shuffle=False) == [plain, plain]
    first, second = order_of_rows(backend, rows, size, 2, shuffle=True)
    assert sorted(first) == sorted(second) == plain
    if rows >= 10:
        assert first != plain
        assert first != second
        assert order_of_rows(backend, rows, size, 1, shuffle=True, seed=1) != [first]
    assert order_of_rows(backend, rows, size, 2, shuffle=True) == [first, second]


def test_shuffle_is_uniform() -> None:
    """Each of 5 rows comes first about equally often."""
    from backpass.batches import shuffle

    index, first = np.zeros(5, np.int64), np.zeros(5)
    for epoch in range(1000):
        shuffle(np.array([epoch]), index, 3)
        first[index[0]] += 1
    assert (np.abs(first - 200) < 60).all(), first


def test_losses_of_an_epoch_are_the_mean_over_all_rows(backend: Backend) -> None:
    """With lr 0 the loss of the epoch is the loss of the whole data set, the small last batch weighted by its rows."""
    model = small(optimizer=optim.SGD(lr=0.0), dtype="float64")
    model.backend = backend
    history = model.fit(X, Y, epochs=2, batch_size=32)
    whole = model.evaluate(X, Y)["loss"]
    assert np.allclose(history.history["loss"], whole, rtol=1e-12)


# ---- what X and y may be -------------------------------------------------------------------------------------------


def fitted(X: Any, y: Any, backend: Backend, **arguments: Any) -> bp.Model:
    model = small()
    model.backend = backend
    model.fit(X, y, batch_size=16, **arguments)
    return model


def test_kinds_of_arrays_give_the_same_bits(backend: Backend) -> None:
    whole = np.round(X * 3).astype(np.float32)
    want = fitted(whole, Y, backend)
    big = np.zeros((140, 12), np.float32)
    big[::2, ::2] = whole

    class Wrapped:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return whole

    class Exported:
        def __dlpack__(self, **arguments: Any) -> Any:
            return whole.__dlpack__(**arguments)

        def __dlpack_device__(self) -> Any:
            return whole.__dlpack_device__()

    for kind in (
        whole.astype(np.float64), whole.astype(np.int8), whole.astype(np.int64), whole.astype(">f4"), whole.astype(np.float16),
        np.asfortranarray(whole), big[::2, ::2], whole[::-1][::-1], whole.tolist(), np.ma.array(whole), Wrapped(), Exported(),
        whole.astype(np.longdouble),
    ):  # fmt: skip
        assert same_weights(want, fitted(kind, Y, backend)), type(kind)
    for kind in (Y.astype(np.float64), np.asfortranarray(Y), Y.tolist(), Y.astype(">f8")):
        assert same_weights(want, fitted(whole, kind, backend)), type(kind)
    read_only = whole.copy()
    read_only.flags.writeable = False
    assert same_weights(want, fitted(read_only, Y, backend))


def test_kinds_of_labels(backend: Backend) -> None:
    def trained(y: Any) -> bp.Model:
        model = small("cross_entropy", 3)
        model.backend = backend
        model.fit(X, y, batch_size=16)
        return model

    want = trained(LABELS)
    for kind in (
        LABELS.astype(np.uint8),
        LABELS.astype(np.int32),
        LABELS.astype(float),
        LABELS[:, None],
        LABELS.tolist(),
    ):
        assert same_weights(want, trained(kind))
    two = small("cross_entropy", 2)
    two.fit(X, LABELS == 1, batch_size=16)


def test_pandas(backend: Backend) -> None:
    pandas = pytest.importorskip("pandas")
    want = fitted(X, Y, backend)
    assert same_weights(want, fitted(pandas.DataFrame(X), pandas.DataFrame(Y), backend))
    with pytest.raises(ValueError, match="row 3, column 2"):
        fitted(pandas.DataFrame(X).mask(pandas.DataFrame(X) == X[3, 2]), Y, backend)


def test_images_through_flatten(backend: Backend) -> None:
    images = RNG.integers(0, 256, (40, 5, 4, 3)).astype(np.uint8)
    made = [
        bp.Model(nn.Sequential(nn.Flatten(), nn.Linear(60, 4), nn.ReLU(), nn.Linear(4, 2)), "mse")
        for _ in range(2)
    ]
    for model, x in zip(made, (images, images.reshape(40, 60).astype(np.float32)), strict=True):
        model.backend = backend
        model.fit(x, Y[:40], batch_size=16)
    assert same_weights(*made)
    assert np.array_equal(made[0].predict(images), made[1].predict(images.reshape(40, 60)))


def test_x_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X.tofile(tmp_path / "x.bin")
    mapped = np.memmap(tmp_path / "x.bin", np.float32, "r", shape=X.shape)
    feeds: list[loop.Feed] = []

    class Noted(loop.Feed):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            feeds.append(self)

    monkeypatch.setattr("backpass.loop.Feed", Noted)
    for x in (X, mapped):
        model = small()
        programs: list[Any] = []
        compiled = model.backend.compile

        def noting(
            instructions: Any, halt: Any = None, compiled: Any = compiled, programs: Any = programs
        ) -> Any:
            programs.extend(instructions)
            return compiled(instructions, halt)

        monkeypatch.setattr(model.backend, "compile", noting)
        model.fit(x, Y, epochs=2, batch_size=16)
        monkeypatch.undo()
        monkeypatch.setattr("backpass.loop.Feed", Noted)
        assert np.shares_memory(feeds[-1].X, x)
        sources = [
            i.fields["source"] for i in programs if i.op.name == "gather" and i.fields["source"].shape[1] == 6
        ]
        assert len(sources) == 2
        assert all(np.shares_memory(source, x) for source in sources)


# ---- weights of rows -------------------------------------------------------------------------------------------------

LOSSES = {
    "cross_entropy": (3, LABELS), "nll": (3, LABELS), "mse": (2, Y), "l1": (2, Y), "huber": (2, Y),
    "bce_with_logits": (2, (Y > 0) * 1.0), "focal": (2, (Y > 0) * 1.0),
    "gaussian_nll": (4, Y), "quantile": (2, Y), "hinge": (2, np.sign(Y)), "poisson": (2, np.abs(Y)), "smooth_l1": (2, Y),
}  # fmt: skip


def gradients(loss: Any, outputs: int, x: Any, y: Any, **arguments: Any) -> list[np.ndarray]:
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, outputs))
    model = bp.Model(net, loss, optim.SGD(lr=0.0), dtype="float64", seed=3)
    history = model.fit(x, y, batch_size=len(x), shuffle=False, **arguments)
    return [*(g.copy() for g in model.gradients()), np.array(history.history["loss"])]


@pytest.mark.parametrize("loss", LOSSES)
def test_whole_sample_weights_are_repeated_rows(loss: str) -> None:
    outputs, y = LOSSES[loss]
    weight = np.random.default_rng(2).integers(0, 4, 70)
    weighted = gradients(loss, outputs, X, y, sample_weight=weight)
    repeated = gradients(loss, outputs, np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    for a, b in zip(weighted, repeated, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)
    model = bp.Model(nn.Sequential(nn.Linear(6, outputs)), loss, dtype="float64")
    a, b = (
        model.evaluate(X, y, sample_weight=weight),
        model.evaluate(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0)),
    )
    assert a.keys() == b.keys()
    assert np.allclose([*a.values()], [*b.values()], rtol=1e-9)


def test_class_weight_is_the_sample_weight_of_its_rows() -> None:
    weights = np.array([1.0, 0.0, 2.5])
    want = gradients("cross_entropy", 3, X, LABELS, sample_weight=weights[LABELS])
    for given in (weights, weights.tolist(), {1: 0.0, 2: 2.5}, {np.int64(1): 0, 2: 2.5, 0: 1}):
        for a, b in zip(gradients("cross_entropy", 3, X, LABELS, class_weight=given), want, strict=True):
            assert np.array_equal(a, b)
    balanced = 70 / (3 * np.bincount(LABELS))
    want = gradients("cross_entropy", 3, X, LABELS, sample_weight=balanced[LABELS])
    for a, b in zip(gradients("cross_entropy", 3, X, LABELS, class_weight="balanced"), want, strict=True):
        assert np.allclose(a, b, rtol=1e-12)
    both = gradients("cross_entropy", 3, X, LABELS, class_weight=weights, sample_weight=np.full(70, 2.0))
    want = gradients("cross_entropy", 3, X, LABELS, class_weight=weights * 2)
    assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(both, want, strict=True))


def test_ignored_targets_with_class_weight() -> None:
    ignored = np.where(LABELS == 1, -100, LABELS)
    keep = ignored >= 0
    for given in ([1.0, 2.0, 3.0], "balanced", {2: 3.0}):
        a = gradients("cross_entropy", 3, X, ignored, class_weight=given)
        b = gradients("cross_entropy", 3, X[keep], ignored[keep], class_weight=given)
        assert all(np.allclose(p, q, rtol=1e-9, atol=1e-12) for p, q in zip(a, b, strict=True))


def test_weights_of_sequences() -> None:
    """(N, L, F) inputs: sample_weight is one number for each of the N, class_weight one for each label."""
    x, y = X[:60].reshape(12, 5, 6), LABELS[:60].reshape(12, 5)
    weight = np.arange(12.0)
    flat = gradients(
        "cross_entropy",
        3,
        x.reshape(60, 6),
        y.ravel(),
        sample_weight=np.repeat(weight, 5),
        class_weight=[1, 2, 3],
    )
    deep = gradients("cross_entropy", 3, x, y, sample_weight=weight, class_weight=[1, 2, 3])
    assert all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(flat, deep, strict=True))
    target = np.resize(Y, (12, 5, 2))
    flat = gradients("mse", 2, x.reshape(60, 6), target.reshape(60, 2), sample_weight=np.repeat(weight, 5))
    deep = gradients("mse", 2, x, target, sample_weight=weight)
    assert all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(flat, deep, strict=True))
    model = small("cross_entropy", 3)
    deep_logs = model.evaluate(x, y, sample_weight=weight)
    flat_logs = model.evaluate(x.reshape(60, 6), y.ravel(), sample_weight=np.repeat(weight, 5))
    assert deep_logs == pytest.approx(flat_logs)


# ---- history, validation, callbacks -------------------------------------------------------------------------------------


def test_history() -> None:
    model = small("cross_entropy", 3)
    history = model.fit(X, LABELS, epochs=3, batch_size=16, validation_data=(X[:9], LABELS[:9]))
    assert history.epoch == [0, 1, 2]
    assert set(history.history) == {"loss", "val_loss", "val_accuracy", "lr"}
    assert all(len(v) == 3 and all(isinstance(n, float) for n in v) for v in history.history.values())
    last = model.evaluate(X[:9], LABELS[:9])
    assert history.history["val_loss"][-1] == last["loss"]
    assert history.history["val_accuracy"][-1] == last["accuracy"]
    assert model.epoch == 3
    assert model.step_count[0] == 15


def test_no_epochs() -> None:
    model = small()
    before = digest(model)
    history = model.fit(X, Y, epochs=0)
    assert history.history == {}
    assert history.epoch == []
    assert digest(model) == before
    assert model.epoch == 0
    with pytest.raises(ValueError, match="X is empty"):
        model.fit(X[:0], Y[:0], epochs=0)


def test_validation_changes_nothing() -> None:
    def trained(**arguments: Any) -> bp.Model:
        model = bp.Model(with_everything(), "cross_entropy")
        model.fit(X, LABELS, epochs=3, batch_size=16, **arguments)
        return model

    plain, validated = trained(), trained(validation_data=(X, LABELS, np.ones(70)))
    assert digest(plain) == digest(validated)


def test_stop_training_and_callbacks_in_order() -> None:
    class Stop(bp.Callback):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def on_train_begin(self, logs: Any) -> None:
            self.calls.append("begin")

        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            self.calls.append(f"epoch {epoch}")

        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.calls.append(f"end {epoch} {sorted(logs)}")
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs: Any) -> None:
            self.calls.append("over")

    stop, model = Stop(), small()
    history = model.fit(X, Y, epochs=9, callbacks=[stop])
    assert history.epoch == [0, 1]
    assert stop.calls == [
        "begin",
        "epoch 0",
        "end 0 ['loss', 'lr']",
        "epoch 1",
        "end 1 ['loss', 'lr']",
        "over",
    ]
    assert len(model.fit(X, Y, epochs=2).epoch) == 2


def test_an_error_in_a_callback_leaves_the_model_usable() -> None:
    class Broken(bp.Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            if batch == 2:
                raise RuntimeError("mine")

    model = small()
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(X, Y, batch_size=10, callbacks=[Broken()])
    assert model.step_count[0] == 3
    assert np.isfinite(model.fit(X, Y).history["loss"]).all()


# ---- not finite ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [optim.SGD(lr=1e30), optim.Adam(lr=1e30), optim.Lion(lr=1e30)], ids=["SGD", "Adam", "Lion"]
)
def test_divergence_stops_at_the_last_good_step(backend: Backend, optimizer: optim.Optimizer) -> None:
    model = small(optimizer=optimizer)
    model.backend = backend
    with pytest.raises(
        bp.NonFiniteError, match=r"step \d+: layer .* is not finite.*last good step"
    ) as caught:
        model.fit(X, Y, epochs=5, batch_size=10)
    assert caught.value.step == model.step_count[0]
    assert caught.value.layer in ("0", "1", "2")
    assert f"layer {caught.value.layer}" in str(caught.value)
    assert all(np.isfinite(v).all() for v in model.state_dict().values())
    model.load_state_dict({k: np.full_like(v, 0.1) for k, v in model.state_dict().items()})
    model.lr = 1e-6
    for name, array in model.optimizer_state.items():
        if name in optimizer.slots:
            array[...] = 0
    assert np.isfinite(model.fit(X, Y).history["loss"]).all()


@pytest.mark.parametrize(("layer", "value"), [("0", np.nan), ("2", np.inf), ("2", np.nan)])
def test_a_nan_in_a_weight_is_named(backend: Backend, layer: str, value: float) -> None:
    model = small()
    model.backend = backend
    model.fit(X, Y, batch_size=10)
    good = model.state_dict()
    model.net[int(layer)].weight[1, 2] = value
    poisoned = model.state_dict()
    for train_on in (lambda: model.fit(X, Y, batch_size=10), lambda: model.step(X, Y)):
        with pytest.raises(bp.NonFiniteError) as caught:
            train_on()
        assert caught.value.step == 7
        assert caught.value.layer == layer
        assert "step 7" in str(caught.value)
        assert f"layer {layer}" in str(caught.value)
        assert all(np.array_equal(v, poisoned[k], equal_nan=True) for k, v in model.state_dict().items()), (
            "changed"
        )
    model.load_state_dict(good)
    assert np.isfinite(model.fit(X, Y).history["loss"]).all()


def test_an_update_that_overflows_is_said_to_lose_the_weights(backend: Backend) -> None:
    model = small(optimizer=optim.SGD(lr=3e38))
    model.backend = backend
    with pytest.raises(bp.NonFiniteError, match=r"0\.weight.*An update overflowed \(lr is 3e\+38\)"):
        model.fit(X * 1e3, Y, batch_size=len(X))  # the one step of the run: no guard comes after it


def test_terminate_on_nan_ends_quietly() -> None:
    model = small(optimizer=optim.SGD(lr=1e30))
    history = model.fit(X, Y, epochs=5, batch_size=10, callbacks=[bp.TerminateOnNaN()])
    assert history.epoch == []
    assert all(np.isfinite(v).all() for v in model.state_dict().values())


# ---- Ctrl-C --------------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell starts with it ignored
import numpy as np, backpass as bp
from backpass import nn
rows, width, layers, batch, threads = map(int, sys.argv[1:6])
inner = [part for _ in range(layers) for part in (nn.Linear(width, width), nn.ReLU())]
net = nn.Sequential(nn.Linear(64, width), *inner, nn.Linear(width, 4))
model = bp.Model(net, "mse", backend=sys.argv[6], threads=threads)
X, y = np.ones((rows, 64), np.float32), np.ones((rows, 4), np.float32)
class Ready(bp.Callback):
    def on_epoch_begin(self, epoch, logs):
        if epoch == 1:  # Numba has compiled by then: Ctrl-C cannot stop a compiler
            print("ready", flush=True)
try:
    model.fit(X, y, epochs=10**6, batch_size=batch, callbacks=[Ready()])
except KeyboardInterrupt:
    print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
    good = all(np.isfinite(v).all() for v in model.state_dict().values())
    small = X[:2], y[:2]
    before = model.step_count[0]
    model.fit(*small, epochs=1)
    print(int(good and model.step_count[0] == before + 1 and np.isfinite(model.predict(X[:2])).all()), flush=True)
"""


def interrupt(arguments: list[Any], after: float) -> float:
    """Seconds from SIGINT to the KeyboardInterrupt in a process that is in the middle of `fit`."""
    command = [sys.executable, "-c", INTERRUPTED, *map(str, arguments)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            time.sleep(after)
            sent = time.clock_gettime(time.CLOCK_MONOTONIC)
            child.send_signal(signal.SIGINT)
            answer, error = child.communicate(timeout=60)
        finally:
            child.kill()
    lines = answer.split()
    assert len(lines) == 2, f"{answer!r} {error}"
    assert lines[1] == "1", "the model is not usable afterwards"
    return float(lines[0]) - sent


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to one process on Windows")
@pytest.mark.parametrize("name", [n for n in bp.available_backends() if n != "numpy"] + ["numpy"])
def test_ctrl_c_with_small_steps(name: str, record_property: Callable[[str, object], None]) -> None:
    seconds = interrupt([1000, 32, 2, 10, 2, name], 0.3)
    record_property("seconds to stop", seconds)
    print(f"{name}: stopped after {seconds * 1e3:.1f} ms")
    assert seconds < 0.5


@needs_native
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to one process on Windows")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_in_the_middle_of_a_large_step(
    threads: int, record_property: Callable[[str, object], None]
) -> None:
    """A step of well over 0.3 s, made of instructions of some 50 ms each."""
    seconds = interrupt([1024, 1024, 24, 1024, threads, "native"], 0.4)
    record_property("seconds to stop", seconds)
    print(f"{threads} threads: stopped after {seconds * 1e3:.1f} ms")
    assert seconds < 0.5
