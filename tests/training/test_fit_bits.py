"""The training loop gives the same bits for any number of threads, and takes the rows in the order it says."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from backpass.program import TrainingPlan
from backpass.training import loops
from helpers.backends import needs_native
from helpers.nets import LABELS, X, Y, digest, small, with_everything
from helpers.processes import ENVIRONMENT

# ---- the same bits ---------------------------------------------------------------------------------------------------


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
    code = "import training.test_fit_bits as t; print(t.digest(t.train_everything(2)))"
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
    monkeypatch.setattr(loops, "SLICE_SECONDS", 100.0)
    whole = trained()
    assert digest(whole) == digest(trained(watcher))
    assert watcher.seen == 90
    monkeypatch.setattr(loops, "SLICE_SECONDS", 1e-9)
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


# ---- the order of the rows -------------------------------------------------------------------------------------------


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
            plan = model.engine.plans.trained
            assert isinstance(plan, TrainingPlan)
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
    from backpass.ops.batch import shuffle

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
