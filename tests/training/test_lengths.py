"""Lengths beside the batch: steps behind the length of a row change nothing but what is computed there."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from backpass.program import Builder, Tensor
from backpass.program.arithmetic import elementwise
from backpass.program.masks import counted_steps
from backpass.program.reductions import total
from backpass.program.views import part

rng = np.random.default_rng(0)
STEPS = 6
X = rng.standard_normal((20, STEPS, 3))
L = rng.integers(1, STEPS + 1, 20)
L[:3] = 0, STEPS, 1
COUNTS = np.arange(STEPS) < L[:, None]
TAGS, VALUES = rng.integers(0, 4, (20, STEPS)), rng.standard_normal((20, STEPS, 2))


def tagger(loss: str = "cross_entropy", outputs: int = 4) -> bp.Model:
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, outputs))
    return bp.Model(net, loss, optim.SGD(0.1), dtype="float64")


def test_the_loss_is_that_of_the_steps_that_count(backend: Backend) -> None:
    """As with ignore_index, and as of a mean over the steps alone."""
    model, ignoring = tagger(), tagger()
    model.backend = ignoring.backend = backend
    ignored = np.where(COUNTS, TAGS, -100)
    for _ in range(5):
        assert model.step(X, TAGS, lengths=L) == pytest.approx(ignoring.step(X, ignored), rel=1e-12)
    ours, theirs = model.evaluate(X, TAGS, lengths=L), ignoring.evaluate(X, ignored)
    assert ours == pytest.approx(theirs, rel=1e-10)
    numbers = tagger("mse", 2)
    error = ((numbers.predict(X) - VALUES) ** 2).mean(axis=2)
    assert numbers.evaluate(X, VALUES, lengths=L)["loss"] == pytest.approx(error[COUNTS].mean())
    weight = rng.uniform(0, 2, 20)
    weighed = np.average(error, weights=COUNTS * weight[:, None])
    assert numbers.evaluate(X, VALUES, weight, lengths=L)["loss"] == pytest.approx(weighed)


def test_what_lies_behind_the_length_does_not_matter(backend: Backend) -> None:
    poison = 1e30
    poisoned = np.where(COUNTS[:, :, None], X, poison)
    histories = []
    for data in (X, poisoned):
        model = tagger()
        model.backend = backend
        history = model.fit(
            data, TAGS, lengths=L, epochs=3, batch_size=6, validation_split=0.2, progress=False
        )
        histories.append((history.history, model.predict(X).tobytes()))
    assert histories[0] == histories[1]


def test_every_way_to_give_them() -> None:
    made = [tagger() for _ in range(3)]
    made[0].fit(X, TAGS, lengths=L, epochs=2, batch_size=20, progress=False)
    made[1].fit({"x": X, "lengths": L.astype(np.uint8)}, TAGS, epochs=2, batch_size=20, progress=False)
    made[2].fit([({"x": X, "lengths": L}, TAGS)], epochs=2, batch_size=20, progress=False)
    expected = made[0].predict(X, lengths=L)
    assert np.array_equal(made[1].predict(X), expected)
    assert made[2].predict(X) == pytest.approx(expected)
    assert made[0].forward(X, training=True, lengths=L).shape == expected.shape
    assert made[0].backward(np.ones_like(expected)).shape == X.shape


def test_a_layer_reads_them() -> None:
    """The mean over the steps that count, by a layer that knows ops."""

    class Mean(nn.Module):
        def emit(self, builder: Builder, x: Tensor) -> Tensor:
            mask = counted_steps(builder, x.shape[:2], None)
            counted = elementwise(builder, "mul", x, Tensor(mask[:, :, None]))
            return total(builder, counted, [1], 1.0)

    model = bp.Model(nn.Sequential(Mean(), nn.Linear(3, 1)), "mse", optim.SGD(1e-3), dtype="float64")
    sums = (X * COUNTS[:, :, None]).sum(axis=1)
    state = model.state_dict()
    assert model.predict(X, lengths=L) == pytest.approx(sums @ state["1.weight"].T + state["1.bias"])
    rows = model.predict(X, lengths=L)
    assert all(
        np.array_equal(model.predict(X[i : i + 1], lengths=L[i : i + 1])[0], rows[i]) for i in range(20)
    )
    model.fit(X, np.ones(20), lengths=L, epochs=1, progress=False)


def test_a_layer_shortens_them() -> None:
    """The first two steps alone: the loss weighs by the lengths that the last layer leaves."""

    class Two(nn.Module):
        def emit(self, builder: Builder, x: Tensor) -> Tensor:
            if builder.lengths_of(x.shape[1]) is not None:
                builder.tell_lengths(2, Tensor(np.full(x.shape[0], 1)))
            return part(builder, x, (slice(None), slice(2)))

    model = bp.Model(nn.Sequential(Two(), nn.Linear(3, 4)), "cross_entropy", optim.SGD(0.0), dtype="float64")
    first = bp.Model(nn.Sequential(Two(), nn.Linear(3, 4)), "cross_entropy", optim.SGD(0.0), dtype="float64")
    ignored = np.stack([TAGS[:, 0], np.full(20, -100)], axis=1)
    assert model.step(X, TAGS[:, :2], lengths=L) == pytest.approx(first.step(X, ignored))


def test_what_does_not_fit() -> None:
    model, whole = tagger(), bp.Model(nn.Sequential(nn.Flatten(), nn.Linear(18, 1)), "mse")
    for lengths, message in (
        (L + 1, r"lengths holds 7 at row 1, expected 0 to 6"),
        (L - 1, r"lengths holds -1 at row 0, expected 0 to 6"),
        (L[:5], r"have .* rows, expected the same number"),
        (L[:, None], r"lengths has shape \(20, 1\), expected \(20,\)"),
        (L * 1.0, r"lengths has dtype float64, expected integers"),
    ):
        for call in (model.fit, model.step, model.evaluate):
            with pytest.raises((ValueError, TypeError), match=message):
                call(X, TAGS, lengths=lengths)
    with pytest.raises(
        ValueError, match="lengths is given, but no layer reads it, and the loss has no target for each step"
    ):
        whole.fit(X, np.ones(20), lengths=L)
    own = bp.Model(nn.Linear(3, 4), lambda pred, y: (0.0, np.zeros_like(pred)))
    with pytest.raises(ValueError, match="no layer reads it, and a loss that is a callable does not get it"):
        own.fit(X, TAGS, lengths=L)


def test_an_argument_of_forward_is_an_input() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(3, 1)

        def forward(self, x: Any, lengths: Any) -> Any:
            mask = (bp.arange(STEPS) < lengths[:, None]).float()
            return self.out((x * mask[:, :, None]).sum(dim=1) / lengths.clamp(min=1)[:, None])

    model = bp.Model(Mean(), "mse", dtype="float64")
    mean = (X * COUNTS[:, :, None]).sum(axis=1) / np.maximum(L, 1)[:, None]
    state = model.state_dict()
    assert model.predict(X, lengths=L) == pytest.approx(mean @ state["out.weight"].T + state["out.bias"])
    model.fit(X, np.ones(20), lengths=L, epochs=1, progress=False)


def test_chunks_weigh_by_the_steps_that_count() -> None:
    """Evaluated in chunks, and with targets to ignore in their place, as at once."""
    lengths = np.where(np.arange(20) < 10, 1, STEPS)
    ignored = np.where(np.arange(STEPS) < lengths[:, None], TAGS, -100)
    halves = (slice(10), slice(10, 20))
    model = tagger()
    expected = model.evaluate(X, TAGS, lengths=lengths)
    chunks = [({"x": X[rows], "lengths": lengths[rows]}, TAGS[rows]) for rows in halves]
    assert model.evaluate(chunks) == pytest.approx(expected, rel=1e-12)
    assert model.evaluate([(X[rows], ignored[rows]) for rows in halves]) == pytest.approx(expected, rel=1e-12)
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="lengths is given, but y is None: chunks hold them"):
            call(chunks, lengths=lengths)


def test_balanced_classes_are_those_of_the_steps_that_count() -> None:
    lengths = np.where(np.arange(20) < 10, 1, STEPS)
    ignored = np.where(np.arange(STEPS) < lengths[:, None], TAGS, -100)
    data = {"x": X, "lengths": lengths}
    histories = [
        tagger().fit(*given, class_weight="balanced", epochs=2, progress=False).history["loss"]
        for given in ((X, ignored), (data, TAGS), ([(data, TAGS)],))
    ]
    for history in histories[1:]:
        assert history == pytest.approx(histories[0], rel=1e-12)


def test_the_score_is_that_of_the_steps_that_count() -> None:
    model, data = tagger("mse", 2), {"x": X, "lengths": L}
    poisoned = np.where(COUNTS[:, :, None], VALUES, 1e6)
    assert model.score(data, VALUES) == pytest.approx(model.score(data, poisoned), rel=1e-12)
    assert model.score(data, VALUES) != pytest.approx(model.score(X, VALUES))
    whole = {"x": X, "lengths": np.full(20, STEPS)}
    assert model.score(whole, VALUES) == pytest.approx(model.score(X, VALUES), rel=1e-12)
    assert np.isfinite(model.score({"x": X, "lengths": np.minimum(L, 3)}, VALUES))
