"""Faults of kind G: numbers far from 1, and many of them, on every backend.

Elsewhere: gradients of 1e22 that are clipped in tests/engine/test_nonfinite.py and tests/callbacks/test_monitor.py, damaged files
of Numba's cache in tests/backends/test_numba_cache.py, limits of all formulas in tests/ops/test_formulas.py.
"""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import LABELS, X, Y, on, small

RNG = np.random.default_rng(0)


def linear(backend: Backend, loss: Any = "mae", optimizer: Any = "sgd", **options: Any) -> bp.Model:
    return on(backend, bp.Model(nn.Linear(6, 3), loss, optimizer, **options))


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-30, 1e-22, 1e22, 1e30])
@pytest.mark.parametrize("road", ["step", "fit"])
def test_a_clipped_step_has_the_length_of_the_limit(backend: Backend, road: str, size: float) -> None:
    """Squares of these do not fit float32, neither above nor below."""
    limit = min(size, 1.0) * 1e-2
    model = linear(backend, optimizer=optim.SGD(1.0, clip_grad_norm=limit))
    model.load_state_dict({"weight": np.zeros((3, 6)), "bias": np.zeros(3)})
    x = X * np.float32(size)
    if road == "step":
        model.step(x, Y)
    else:
        model.fit(x, Y, batch_size=70)
    # Of the mean of |out - y| at out = 0.
    slope = -np.sign(Y) / Y.size
    gradient = np.concatenate([(slope.T @ x.astype(np.float64)).ravel(), slope.sum(axis=0)])
    norm = np.sqrt((gradient**2).sum())
    moved = np.concatenate([model.net.weight.ravel(), model.net.bias])
    wanted = -gradient * min(limit / norm, 1)
    np.testing.assert_allclose(moved, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def test_a_limit_of_every_element(backend: Backend) -> None:
    model = linear(backend, optimizer=optim.SGD(1.0, clip_grad_value=0.5))
    model.load_state_dict({"weight": np.zeros((3, 6)), "bias": np.zeros(3)})
    model.step(X * np.float32(1e22), Y)
    assert (np.abs(model.net.weight) == 0.5).all()


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1e18, 1e21])
@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "rmsprop"])
def test_a_first_step_is_as_long_for_every_size_of_gradient(backend: Backend, name: str, size: float) -> None:
    """Squares of 1e41, whose share in the moment fits float32, and of 1e-17."""
    moved = []
    for scale in (1.0, size):
        model = linear(backend, optimizer=optim.NAMES[name](lr=1e-3, eps=0.0, weight_decay=0.0))
        model.load_state_dict({"weight": np.zeros((3, 6)), "bias": np.zeros(3)})
        model.step(X * np.float32(scale), Y)
        moved.append(model.net.weight.copy())
    assert (moved[0] != 0).all()
    np.testing.assert_allclose(*moved, rtol=1e-3)


# ---- statistics ------------------------------------------------------------------------------------------------------


def normalised(x: np.ndarray, axis: int, eps: float = 1e-5) -> np.ndarray:
    x = x.astype(np.float64)
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


@pytest.mark.parametrize(("rows", "centre"), [(100_000, 1e4), (100_000, -1e3), (1_000, 1e4), (33, 1e5)])
def test_batch_norm_far_from_zero(backend: Backend, rows: int, centre: float) -> None:
    """The mean can be no better than float32's spacing there, the deviation from it is."""
    x = (RNG.normal(size=(rows, 3)) + centre).astype(np.float32)
    model = on(backend, bp.Model(nn.BatchNorm1d(3, momentum=None)))
    error = np.abs(model.forward(x, training=True) - normalised(x, 0)).max()
    assert error < max(8 * np.spacing(np.float32(abs(centre))), 5e-3)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(model.net.running_mean, exact.mean(0), rtol=3e-6)
    np.testing.assert_allclose(model.net.running_var, exact.var(0, ddof=1), rtol=1e-3)


@pytest.mark.parametrize(("width", "centre"), [(8, 1e4), (1000, 1e4), (1000, -1e5), (20_000, 1e3)])
def test_layer_norm_far_from_zero(backend: Backend, width: int, centre: float) -> None:
    x = (RNG.normal(size=(5, width)) + centre).astype(np.float32)
    out = on(backend, bp.Model(nn.LayerNorm(width))).predict(x)
    assert np.abs(out - normalised(x, 1)).max() < 8 * np.spacing(np.float32(abs(centre)))


def test_a_constant_feature_is_zero_and_stays_finite(backend: Backend) -> None:
    x = np.full((1000, 3), 12345.678, np.float32)
    for net in (nn.BatchNorm1d(3), nn.LayerNorm(3)):
        model = on(backend, bp.Model(nn.Sequential(net, nn.Linear(3, 1))))
        out = model.forward(x, training=True)
        assert np.isfinite(out).all()
        assert np.isfinite(model.backward(np.ones_like(out))).all()


# ---- sums of many ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 3e3])
def test_the_loss_of_many_rows_is_their_mean(backend: Backend, offset: float) -> None:
    """As one evaluation, as an epoch of fit, in chunks."""
    x = RNG.normal(size=(100_000, 6)).astype(np.float32)
    y = (RNG.normal(size=(100_000, 3)) + offset).astype(np.float32)
    model = linear(backend, "mse", optim.SGD(0.0))
    wanted = ((model.predict(x).astype(np.float64) - y) ** 2).mean()
    assert model.evaluate(x, y)["loss"] == pytest.approx(wanted, rel=1e-5)
    assert model.evaluate([(x[:70_000], y[:70_000]), (x[70_000:], y[70_000:])])["loss"] == pytest.approx(
        wanted, rel=1e-5
    )
    if backend.name == "native":
        assert model.fit(x, y, batch_size=1000).history["loss"][0] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_weights_of_rows_count_by_their_ratios(backend: Backend, scale: float) -> None:
    weight = np.linspace(1, 2, 70)
    one, other = (linear(backend, "cross_entropy", "adam") for _ in range(2))
    a = one.fit(X, LABELS, sample_weight=weight, batch_size=70).history["loss"]
    b = other.fit(X, LABELS, sample_weight=weight * scale, batch_size=70).history["loss"]
    assert a == pytest.approx(b, rel=1e-5)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-4, atol=1e-5)
    evaluated = one.evaluate(X, LABELS, weight * scale)
    assert evaluated == pytest.approx(one.evaluate(X, LABELS, weight), rel=1e-5)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e7])
def test_the_score_of_numbers_far_from_zero(offset: float) -> None:
    y = X @ np.ones((6, 3)) + offset
    model = bp.Model(nn.Linear(6, 3), dtype="float64")
    model.load_state_dict({"weight": np.full((3, 6), 0.9), "bias": np.full(3, offset)})
    assert model.score(X, y) == pytest.approx(0.99, abs=1e-3)


def test_probabilities_of_huge_logits(backend: Backend) -> None:
    model = linear(backend, "cross_entropy")
    model.load_state_dict({"weight": np.zeros((3, 6)), "bias": np.array([1e4, 0, -1e30])})
    assert np.array_equal(model.predict_proba(X), np.tile([1.0, 0, 0], (70, 1)))
    assert model.evaluate(X, LABELS * 0)["loss"] == 0
    two = on(backend, bp.Model(nn.Linear(6, 1), "bce_with_logits"))
    two.load_state_dict({"weight": np.zeros((1, 6)), "bias": np.array([-1e4])})
    assert np.array_equal(two.predict_proba(X), np.tile([1.0, 0], (70, 1)))
    assert two.evaluate(X, LABELS * 0)["loss"] == 0


# ---- labels ----------------------------------------------------------------------------------------------------------

NO_CLASSES: dict[str, Any] = {
    "uint64, that of -100": np.uint64(2**64 - 100), "uint64": np.uint64(2**64 - 1), "uint64, that of 0": np.uint64(2**63),
    "uint32, that of -100": np.uint32(2**32 - 100), "uint16, that of -100": np.uint16(2**16 - 100),
    "uint8, that of -100": np.uint8(156),
    "int64": np.int64(-(2**63)), "int8": np.int8(-1), "float": 2.0**53, "float, that of 0": 2.0**64, "float32": np.float32(-1e30),
}  # fmt: skip


@pytest.mark.parametrize(
    "loss",
    ["cross_entropy", "nll", nn.CrossEntropyLoss(ignore_index=-1), nn.CrossEntropyLoss(ignore_index=1)],
)
@pytest.mark.parametrize("what", NO_CLASSES)
def test_a_number_that_wraps_is_no_class_and_is_not_ignored(what: str, loss: Any) -> None:
    value = NO_CLASSES[what]
    labels = np.zeros(70, np.asarray(value).dtype)
    labels[5] = value
    if what == "int8" and isinstance(loss, nn.CrossEntropyLoss) and loss.ignore_index == -1:
        pytest.skip("that is what is ignored")
    model = small(loss)
    for call in (model.fit, model.evaluate, model.step):
        with pytest.raises(ValueError, match=r"y\[5\] is .*, expected a class index from 0 to 2"):
            call(X, labels)


@pytest.mark.parametrize(
    ("ignored", "dtype"),
    [(255, np.uint8), (-100, np.int8), (-1, np.int64), (2**40, np.int64), (2**62, np.uint64), (-100, np.float64)],
)  # fmt: skip
def test_what_is_ignored_is_ignored_in_every_dtype(backend: Backend, ignored: int, dtype: Any) -> None:
    labels = LABELS.astype(dtype)
    labels[::2] = ignored
    model = on(backend, small(nn.CrossEntropyLoss(ignore_index=ignored)))
    assert model.evaluate(X, labels) == pytest.approx(model.evaluate(X[1::2], LABELS[1::2]), rel=1e-5)


@pytest.mark.parametrize("value", [1e39, -1e300, 2.0**200])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_beyond_float32(value: float, dtype: Any) -> None:
    """Refused with their place in float32, right in float64."""
    x = X.astype(np.float64)
    x[3, 2] = value
    model = bp.Model(nn.Linear(6, 3), "mse", dtype=dtype)
    if dtype == "float64":
        assert np.isfinite(model.predict(x)).all()
        return
    with pytest.raises(ValueError, match=r"X holds -?inf at row 3, column 2 .a number too large for float32"):
        model.fit(x, Y)
