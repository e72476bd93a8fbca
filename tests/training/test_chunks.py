"""fit with a sequence of chunks: every row once an epoch in whole batches, bounded memory, resumed to the same bits."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend

rng = np.random.default_rng(0)
X = rng.normal(size=(103, 5)).astype(np.float32)
Y, WEIGHT = rng.integers(0, 3, 103), rng.uniform(0.5, 2, 103)
CUTS = [0, 40, 43, 44, 74, 103]  # chunks smaller than a batch among them


class Sequence:
    """What Keras calls a Sequence; it keeps account of what is read."""

    def __init__(self, *arrays: np.ndarray) -> None:
        self.arrays, self.read = arrays, list[int]()

    def __len__(self) -> int:
        return len(CUTS) - 1

    def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
        self.read.append(i)
        return tuple(array[CUTS[i] : CUTS[i + 1]] for array in self.arrays)


def fresh(backend: Backend | None = None, threads: int = 1) -> bp.Model:
    net = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
    model = bp.Model(net, "cross_entropy", threads=threads, seed=3)
    if backend:
        model.backend = backend
    return model


@pytest.mark.parametrize("size", [1, 16, 30, 103])
def test_in_order_it_is_the_run_on_the_arrays(size: int) -> None:
    for weights in ({}, {"sample_weight": WEIGHT}):
        for more in ({}, {"class_weight": "balanced"}):
            options: dict[str, Any] = {"epochs": 2, "batch_size": size, "shuffle": False, **more}
            whole, chunked = fresh(), fresh()
            losses = whole.fit(X, Y, **options, **weights).history["loss"]
            assert chunked.fit(Sequence(X, Y, *weights.values()), **options).history["loss"] == losses
            for a, b in zip(whole.parameters(), chunked.parameters(), strict=True):
                assert np.array_equal(a, b)


def test_class_weight_of_one_output_in_chunks() -> None:
    """One chunk has rows of one class only: balance is that of all."""
    y = np.arange(103) > 60
    whole, chunked = (bp.Model(nn.Linear(5, 1), "bce_with_logits", seed=3) for _ in range(2))
    options: dict[str, Any] = {"epochs": 2, "batch_size": 16, "shuffle": False, "class_weight": "balanced"}
    losses = whole.fit(X, y, **options).history["loss"]
    assert chunked.fit(Sequence(X, y), **options).history["loss"] == losses


def test_each_epoch_has_every_row_once_in_another_order() -> None:
    seen: list[list[int]] = []

    class Watch(bp.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            seen.append([])

        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            seen[-1] += self.model.engine.plans.trained.x[:, 0].astype(int).tolist()

    numbers = np.arange(103.0)[:, None]
    chunks = Sequence(numbers, numbers)
    model = bp.Model(nn.Linear(1, 1), optimizer=bp.optim.SGD(lr=0.0))
    model.fit(chunks, epochs=3, batch_size=16, callbacks=[Watch()])
    assert all(sorted(order) == list(range(103)) for order in seen)
    assert len({tuple(order) for order in seen}) == 3
    assert sorted(chunks.read[5:10]) == sorted(chunks.read[10:15]) == [0, 1, 2, 3, 4]
    assert chunks.read[5:10] != chunks.read[10:15]


def test_an_interrupted_run_goes_on_to_the_same_bits(backend: Backend, tmp_path: Path) -> None:
    """At any step, within a chunk or between two, for any number of threads."""

    class Save(bp.Callback):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            self.model.save(tmp_path / f"{self.model.engine.step_count[0]}.safetensors")

    options: dict[str, Any] = {"epochs": 2, "batch_size": 16}
    whole, threads = fresh(backend), fresh(backend, 3)
    losses = whole.fit(Sequence(X, Y), callbacks=[Save()], **options).history["loss"]
    assert threads.fit(Sequence(X, Y), **options).history["loss"] == losses
    for step in range(1, 14, 1 if backend.name == "native" else 4):
        loaded = bp.load(tmp_path / f"{step}.safetensors")
        loaded.backend = backend
        assert loaded.fit(Sequence(X, Y), resume=True, **options).history["loss"] == losses
        for a, b in zip(whole.parameters(), loaded.parameters(), strict=True):
            assert np.array_equal(a, b)
    with pytest.raises(ValueError, match="are not those of the interrupted run"):
        bp.load(tmp_path / "3.safetensors").fit(Sequence(X[::-1], Y), resume=True, **options)


def test_memory_is_that_of_one_chunk(tmp_path: Path) -> None:
    """30 chunks of 2 MB in files: less than a fifth of it at any time."""
    paths = []
    for i in range(30):
        x = rng.normal(size=(5000, 100)).astype(np.float32)
        np.save(tmp_path / f"x{i}.npy", x)
        np.save(tmp_path / f"y{i}.npy", x.sum(1))
        paths.append((tmp_path / f"x{i}.npy", str(tmp_path / f"y{i}.npy")))
    model = bp.Model(nn.Linear(100, 1), optimizer=bp.optim.Adam(lr=0.01))
    tracemalloc.start()
    try:
        losses = model.fit(paths, epochs=2, batch_size=64).history["loss"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert losses[1] < 0.1 * losses[0]
    assert peak < 60e6 / 5


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (iter([(X, Y)]), {}, r"X is a list_iterator and y is None, expected y, or X with len\(\)"),
        ([], {}, "X is an empty sequence"),
        ([(X, Y), X], {}, r"X\[1\] is a ndarray, expected a pair"),
        ([(X, Y), (X[:, :4], Y)], {}, r"X\[1\]: X does not fit the network"),
        ([(X, Y), (X, Y + 1)], {}, r"X\[1\]: CrossEntropyLoss: y\[\d+\] is 3"),
        ([(X, Y), (X * np.nan, Y)], {}, r"X\[1\]: X holds nan at row 0"),
        ([(X, Y)], {"sample_weight": WEIGHT}, r"sample_weight is array(.|\n)*, but X are chunks"),
        ([(X, Y)], {"sampler": "balanced"}, "sampler is 'balanced', but X are chunks"),
    ],
)
def test_errors(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        fresh().fit(given, **options)


def test_other_errors() -> None:
    with pytest.raises(ValueError, match="X are chunks, but the loss is a callable"):
        bp.Model(nn.Linear(5, 1), lambda pred, y: (0.0, pred)).fit([(X, Y)])

    class Shrinking(Sequence):
        def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
            arrays = super().__getitem__(i)
            return tuple(array[: len(array) - (len(self.read) > 6)] for array in arrays)

    with pytest.raises(ValueError, match=r"X\[\d\] has \d+ rows, but had \d+ when the run began"):
        fresh().fit(Shrinking(X, Y))
