"""bp.Model: one step by every road gives the same numbers; evaluation, and programs that come and go."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from backpass.engine import plans
from helpers.nets import LABELS, X, Y, assert_same, net, on

OPTIMIZERS: dict[str, Callable[[], optim.Optimizer]] = {
    **optim.NAMES,
    "nesterov": lambda: optim.SGD(lr=0.1, momentum=0.9, nesterov=True),
    "clipped": lambda: optim.Adam(clip_grad_norm=0.1),
    "centered": lambda: optim.RMSprop(centered=True, momentum=0.5),
    "cosine": lambda: optim.AdamW(lr=optim.schedules.cosine(0.01, 20)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_step_is_what_fit_does(backend: Backend, name: str) -> None:
    by_fit, by_step = (on(backend, bp.Model(net(), "cross_entropy", OPTIMIZERS[name]())) for _ in range(2))
    history = by_fit.fit(X, LABELS, epochs=2, batch_size=14, shuffle=False)
    losses = [by_step.step(X[i : i + 14], LABELS[i : i + 14]) for _ in range(2) for i in range(0, 70, 14)]
    assert_same(by_fit, by_step)
    assert np.allclose(history.history["loss"], [np.mean(losses[:5]), np.mean(losses[5:])], rtol=1e-12)
    assert by_fit.engine.step_count[0] == by_step.engine.step_count[0] == 10


def without_noise() -> nn.Module:
    """No bias before BatchNorm: its gradient is but rounding, of which Lion takes the sign."""
    return nn.Sequential(nn.Linear(6, 16, bias=False), net()[1:])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_own_loop_is_what_fit_does(backend: Backend, name: str) -> None:
    """Cross entropy computed by hand, through forward, backward and update."""
    by_fit, by_hand = (
        on(backend, bp.Model(without_noise(), "cross_entropy", OPTIMIZERS[name](), dtype="float64"))
        for _ in range(2)
    )
    by_fit.fit(X, LABELS, epochs=2, batch_size=14, shuffle=False)
    for _ in range(2):
        for i in range(0, 70, 14):
            out = by_hand.forward(X[i : i + 14], training=True)
            p = np.exp(out - out.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            p[np.arange(14), LABELS[i : i + 14]] -= 1
            by_hand.backward(p / 14)
            by_hand.update()
    for key, value in by_fit.state_dict().items():
        assert np.allclose(by_hand.state_dict()[key], value, rtol=1e-7, atol=1e-9), key
    assert by_hand.engine.step_count[0] == 10


def test_callable_loss_is_the_built_in_one() -> None:
    def half_square(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        return float(((pred - y) ** 2).mean()), 2 * (pred - y) / pred.size

    own, built_in = (bp.Model(net(), loss, dtype="float64") for loss in (half_square, "mse"))
    a = own.fit(X, Y, epochs=3, batch_size=20, validation_data=(X, Y))
    b = built_in.fit(X, Y, epochs=3, batch_size=20, validation_data=(X, Y))
    for name, value in built_in.state_dict().items():
        assert np.allclose(own.state_dict()[name], value, rtol=1e-7, atol=1e-10), name
    assert a.history.keys() == b.history.keys()
    for name, values in a.history.items():
        assert np.allclose(values, b.history[name], rtol=1e-8), name


def test_forward_without_training_is_predict(backend: Backend) -> None:
    model = on(backend, bp.Model(net()))
    model.fit(X, Y)
    assert np.array_equal(model.forward(X), model.predict(X))
    out = model.forward(X, training=True)
    kept = out.copy()
    model.forward(X + 1, training=True)
    assert np.array_equal(out, kept), "the array that forward gave has changed"
    a = model.predict(X)
    kept = a.copy()
    model.predict(X + 1)
    assert np.array_equal(a, kept), "the array that predict gave has changed"


def test_evaluate(backend: Backend) -> None:
    model = on(backend, bp.Model(nn.Linear(6, 3), "cross_entropy", dtype="float64"))
    logits = model.predict(X)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    logs = model.evaluate(X, LABELS)
    assert logs["loss"] == pytest.approx(-np.log(p[np.arange(70), LABELS]).mean(), rel=1e-12)
    assert logs["accuracy"] == pytest.approx((p.argmax(axis=1) == LABELS).mean())
    weight = np.arange(70.0)
    logs = model.evaluate(X, LABELS, sample_weight=weight)
    assert logs["loss"] == pytest.approx(
        (-np.log(p[np.arange(70), LABELS]) * weight).sum() / weight.sum(), rel=1e-12
    )
    assert logs["accuracy"] == pytest.approx(((p.argmax(axis=1) == LABELS) * weight).sum() / weight.sum())
    model = on(backend, bp.Model(nn.Linear(6, 3), "mse", dtype="float64"))
    assert model.evaluate(X, Y) == {"loss": pytest.approx(((model.predict(X) - Y) ** 2).mean(), rel=1e-12)}
    model = on(backend, bp.Model(nn.Linear(6, 1), "bce_with_logits", dtype="float64"))
    y = LABELS == 1
    assert model.evaluate(X, y)["accuracy"] == pytest.approx(((model.predict(X)[:, 0] > 0) == y).mean())


def test_ignored_targets_do_not_count_in_the_accuracy() -> None:
    model = bp.Model(nn.Linear(6, 3), "cross_entropy")
    ignored = np.where(np.arange(70) % 2, LABELS, -100)
    assert model.evaluate(X, ignored) == pytest.approx(model.evaluate(X[1::2], LABELS[1::2]))


def test_evaluate_uses_the_running_statistics_and_no_dropout() -> None:
    model = bp.Model(nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.9), nn.Linear(6, 3)), "mse")
    model.fit(X, Y, epochs=2)
    before = model.state_dict()
    assert model.evaluate(X, Y) == model.evaluate(X, Y)
    assert np.array_equal(model.predict(X), model.predict(X))
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


def test_ever_new_batches_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of the oldest shapes are forgotten, and made again to the same bits."""
    whole_batch = nn.BatchNorm1d(5, track_running_stats=False)
    net = nn.Sequential(nn.Linear(4, 5), whole_batch, nn.ReLU(), nn.Linear(5, 2))
    many, few = bp.Model(deepcopy(net)), bp.Model(net)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((120, 4)), rng.standard_normal((120, 2))

    def use(model: bp.Model) -> list[Any]:
        found = []
        for rows in [*range(2, 120), 7, 119, 3]:
            found.append(model.step(x[:rows], y[:rows]))
            model.backward(model.forward(x[:rows], training=True))
            model.update()
            found.append(model.predict(x[:rows]).tobytes())
        return found

    expected = use(many)
    monkeypatch.setattr(plans, "MOST", 30)
    assert use(few) == expected
    assert len(few.engine.plans.plans) == 30 > len(few.engine.plans.inferring)
    assert few.engine.plans.bytes == sum(plan.bytes for plan in few.engine.plans.plans.values()) > 0
    monkeypatch.setattr(plans, "MOST_BYTES", 1000)
    few.predict(x[:50])
    assert len(few.engine.plans.plans) == plans.FEWEST


def test_a_network_is_free_where_no_model_came_of_it() -> None:
    class Unlucky(nn.Linear):
        def initialise(self, rng: Any) -> None:
            if unlucky:
                raise OSError("an accident")
            super().initialise(rng)

    net, unlucky = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), Unlucky(3, 2)), True
    with pytest.raises(OSError, match="an accident"):
        bp.Model(net)
    with pytest.raises(MemoryError):
        bp.Model(nn.Sequential(net.layers[0], nn.Linear(2**30, 2**29)))
    unlucky = False
    again, fresh = bp.Model(net), bp.Model(deepcopy(net))
    assert again.state_dict().keys() == fresh.state_dict().keys()
    assert all(np.array_equal(a, b) for a, b in zip(again.parameters(), fresh.parameters(), strict=True))


def test_batch_statistics_at_inference_are_those_of_all_rows(backend: Backend) -> None:
    """BatchNorm1d(track_running_stats=False) normalises what predict is given as one batch, whatever its size."""
    model = bp.Model(
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, eps=1e-12, track_running_stats=False)),
        backend=backend.name,
        dtype="float64",
    )
    X = np.random.default_rng(0).standard_normal((13, 3))
    out = model.predict(X)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(out.var(axis=0), 1, atol=1e-9)
