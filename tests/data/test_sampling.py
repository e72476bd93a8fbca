"""fit(sampler="balanced"): which rows an epoch takes, on every backend alike, and that an interrupted run goes on with them."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from backpass.data.order import balanced

Y = np.array([0] * 61 + [1] * 30 + [3] * 6)  # class 2 has no rows
X = np.random.default_rng(0).normal(size=(97, 4)).astype(np.float32)


def test_classes_take_turns() -> None:
    order = np.random.default_rng(1).permutation(97)
    rows = balanced(order, Y)
    assert [*Y[rows[:6]]] == [0, 1, 3, 0, 1, 3]
    assert max(Counter(Y[rows]).values()) - min(Counter(Y[rows]).values()) <= 1
    for label in (0, 1, 3):
        times = Counter(rows[Y[rows] == label]).values()
        assert max(times) - min(times) <= 1, "no row of a class more often than another, but for one time"
        seen = [row for row in rows if Y[row] == label]
        given = [row for row in order if Y[row] == label]
        assert seen[: len(given)] == given[: len(seen)], (
            "a random part of a class: the first rows of a random order"
        )
    ignored = np.where(Y == 1, -1, Y)
    assert set(Y[balanced(order, ignored)]) == {0, 3}


def test_a_rare_class_is_learned() -> None:
    """One row in forty of class 1, clouds that overlap: without balance it is hardly ever predicted."""
    rng = np.random.default_rng(2)
    y = (np.arange(800) % 40 == 0).astype(int)
    x = rng.normal(size=(800, 2)) + 1.5 * y[:, None]
    recall = {}
    for sampler in (None, "balanced"):
        model = bp.Model(nn.Linear(2, 2), "cross_entropy", bp.optim.Adam(lr=0.01))
        model.fit(x, y, epochs=20, sampler=sampler)
        recall[sampler] = (model.predict(x).argmax(1) == 1)[y == 1].mean()
    assert recall[None] < 0.4
    assert recall["balanced"] > 0.7


@pytest.mark.parametrize("kind", ["cross_entropy", "bce_with_logits", "callable"])
def test_saved_and_resumed_to_the_same_bits(kind: str, backend: Backend, tmp_path: Path) -> None:
    def loss(pred: np.ndarray, y: Any) -> tuple[float, np.ndarray]:
        wanted = (y == "a")[:, None]
        return float(((pred - wanted) ** 2).mean()), 2 * (pred - wanted) / len(pred)

    y: Any = {"cross_entropy": Y, "bce_with_logits": Y > 0, "callable": np.where(Y > 0, "a", "b")}[kind]
    outputs = 4 if kind == "cross_entropy" else 1

    def fresh(threads: int) -> bp.Model:
        model = bp.Model(nn.Linear(4, outputs), loss if kind == "callable" else kind, seed=3, threads=threads)
        model.backend = backend
        return model

    options: dict[str, Any] = {"epochs": 3, "batch_size": 16}
    whole, part = fresh(1), fresh(2)
    losses = whole.fit(X, y, sampler="balanced", **options).history["loss"]
    part.fit(X, y, sampler="balanced", max_seconds=0, **options)
    if kind != "callable":
        part.save(tmp_path / "run.safetensors")
        part = bp.load(tmp_path / "run.safetensors")
        part.backend = backend
    assert part.fit(X, y, resume=True, **options).history["loss"] == losses, "the sampler is taken over"
    for a, b in zip(whole.parameters(), part.parameters(), strict=True):
        assert np.array_equal(a, b)
    assert fresh(1).fit(X, y, **options).history["loss"] != losses


def test_ignored_rows_have_no_turn() -> None:
    y = np.where(Y == 1, -100, Y)
    model = bp.Model(nn.Linear(4, 4), "cross_entropy", bp.optim.SGD(lr=0.0))
    balance = model.fit(X, y, sampler="balanced", batch_size=97).history["loss"][0]
    rows = [np.flatnonzero(label == Y) for label in (0, 3)]
    expected = np.mean([model.evaluate(X[r], y[r])["loss"] for r in rows])
    assert balance == pytest.approx(expected, rel=0.03)


def test_errors() -> None:
    model = bp.Model(nn.Linear(4, 4), "cross_entropy")
    with pytest.raises(ValueError, match="sampler is 'fair', expected None or 'balanced'"):
        model.fit(X, Y, sampler="fair")
    with pytest.raises(ValueError, match="sampler is 'balanced' and shuffle is False"):
        model.fit(X, Y, sampler="balanced", shuffle=False)
    regression = bp.Model(nn.Linear(4, 1), "mse")
    with pytest.raises(ValueError, match=r"y is float32 of shape \(97, 1\), expected one class for each row"):
        regression.fit(X, Y, sampler="balanced")
    model.fit(X, Y, max_seconds=0)
    with pytest.raises(ValueError, match="sampler is 'balanced', but the interrupted run had none"):
        model.fit(X, Y, sampler="balanced", resume=True)
