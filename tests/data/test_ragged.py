"""Lists of arrays that differ in length are padded rows with lengths; batches of rows of about the same length."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.data.order import grouped


def model_of(outputs: int = 3, returns: str = "sequence") -> bp.Model:
    net = nn.Sequential(nn.GRU(2, 6, returns=returns), nn.Linear(6, outputs))
    return bp.Model(net, "cross_entropy", optim.Adam(lr=0.01))


def rows(count: int = 40) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, count)
    X = [rng.standard_normal((n, 2)).astype(np.float32) for n in lengths]
    padded = np.zeros((count, lengths.max(), 2), np.float32)
    for place, row in zip(padded, X, strict=True):
        place[: len(row)] = row
    return X, padded, lengths


def test_a_list_is_padded_rows_with_lengths() -> None:
    X, padded, lengths = rows()
    rng = np.random.default_rng(1)
    y = [rng.integers(0, 3, n) for n in lengths]
    padded_y = np.full(padded.shape[:2], -100)
    for place, row in zip(padded_y, y, strict=True):
        place[: len(row)] = row
    one, other = model_of(), model_of()
    one.fit(X, y, epochs=2, batch_size=8)
    other.fit(padded, padded_y, epochs=2, batch_size=8, lengths=lengths)
    assert one.step(X[:5], y[:5]) == other.step(padded[:5], padded_y[:5], lengths=lengths[:5])
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert np.array_equal(mine, theirs)
    assert one.evaluate(X, y) == other.evaluate(padded, padded_y, lengths=lengths)
    assert np.array_equal(one.predict(X), other.predict(padded, lengths=lengths))


def test_one_target_a_row_and_rows_of_one_length() -> None:
    X, padded, lengths = rows()
    y = np.arange(len(X)) % 3
    one, other = model_of(returns="last"), model_of(returns="last")
    one.fit(X, y)
    other.fit(padded, y, lengths=lengths)
    assert np.array_equal(one.predict(X), other.predict(padded, lengths=lengths))
    same = [row[:1] for row in X]
    assert np.array_equal(one.predict(same), one.predict(np.stack(same)))


REFUSED = [
    (lambda X, y: model_of().fit([*X[:2], np.zeros((3, 5))], y), "X[2] has shape (3, 5), but X[0]"),
    (lambda X, y: model_of().fit(X, y, lengths=np.ones(len(X), int)), "leave it out"),
    (lambda X, y: model_of().fit(X, [*y[:-1], y[-1][:0]]), "y[39] is not as long as X[39]"),
    (lambda X, y: model_of().fit(X, y[:-1]), "y[39]"),
    (lambda X, y: model_of().fit(X, y, group_by_length=True, shuffle=False), "group_by_length is True and shuffle is False"),
    (lambda X, y: model_of().fit(X, y, group_by_length=True, sampler="balanced"), "sampler is 'balanced'"),
    (lambda X, y: model_of().fit(np.zeros((4, 3, 2)), np.zeros((4, 3), int), group_by_length=True), "have no lengths"),
    (lambda X, y: model_of().fit([*X[:-1], "text"], y), "X cannot be read as an array"),
    (lambda X, y: model_of().fit([*X[:-1], np.float32(1)], y), "X[39] has shape ()"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refused(call: Any, message: str) -> None:
    X, _, lengths = rows()
    with pytest.raises((ValueError, TypeError)) as caught:
        call(X, [np.zeros(n, int) for n in lengths])
    assert message in str(caught.value)


def test_batches_of_rows_of_about_the_same_length() -> None:
    rng = np.random.default_rng(0)
    lengths, order = rng.integers(1, 100, 1003), rng.permutation(1003)
    got = grouped(order, lengths, 10)
    assert np.array_equal(np.sort(got), np.arange(1003))
    batches = lengths[got[:1000]].reshape(-1, 10)
    assert (batches.max(1) - batches.min(1)).mean() < 5
    assert np.abs(np.corrcoef(batches.mean(1), np.arange(100))[0, 1]) < 0.3


def test_an_epoch_takes_every_row_and_resumes(tmp_path: Path) -> None:
    X, _, _lengths = rows(203)
    y = np.arange(203) % 3
    whole, part = model_of(returns="last"), model_of(returns="last")
    whole.fit(X, y, epochs=3, batch_size=8, group_by_length=True)
    part.fit(X, y, epochs=3, batch_size=8, group_by_length=True, max_seconds=0)
    part.save(tmp_path / "run.safetensors")
    loaded = bp.load(tmp_path / "run.safetensors")
    loaded.fit(X, y, epochs=3, group_by_length=True, resume=True)
    for mine, theirs in zip(whole.parameters(), loaded.parameters(), strict=True):
        assert np.array_equal(mine, theirs)
    plain = model_of(returns="last")
    plain.fit(X, y, epochs=3, batch_size=8)
    assert not np.array_equal(plain.parameters()[0], whole.parameters()[0])
