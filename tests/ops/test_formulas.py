"""Activations and pointwise losses at the ends of the number line: limits, NaN, denormals, signed zeros, on every backend."""

import math
from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.ops.formulas import ACTIVATIONS, POINTWISE
from helpers.registered import alpha_of

INF, NAN = math.inf, math.nan
ALPHA = {name: alpha_of(name) for name in ACTIVATIONS}
LIMITS = {  # what mathematics says of some formulas: at -inf, at +inf
    "identity": (-INF, INF), "relu": (0, INF), "leaky_relu": (-INF, INF), "tanh": (-1, 1), "sigmoid": (0, 1), "elu": (-1, INF),
    "softplus": (0, INF),
}  # fmt: skip
RELATIVE = ("identity", "relu", "leaky_relu", "tanh")  # y is right in all its digits, however small
TINY = 2.0**-1070  # a denormal
KEEPS_SIGN_OF_ZERO = [n for n, f in ACTIVATIONS.items() if np.signbit(f.value(np.array(-0.0), ALPHA[n]))]
PASSES_DENORMALS = [name for name, f in ACTIVATIONS.items() if f.value(np.array(TINY), ALPHA[name]) == TINY]


def special(dtype: str) -> np.ndarray:
    info = np.finfo(dtype)
    positive = [
        info.smallest_subnormal, info.tiny / 2, info.tiny, 1e-30, 1e-10, info.eps / 2, info.eps, 0.5, 1, 5, 10, 16.6, 19.9, 20.1,
        88, 89,
        103, 104, 500, 709, 746, 1e10, 1e30, info.max,
    ]  # fmt: skip
    with np.errstate(over="ignore"):
        values = np.array([0.0, *positive], dtype)
    values = values[np.isfinite(values)]
    return np.concatenate([values, -values])


def activate(backend: Backend, name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y and dy/dx as the backend computes them."""
    y, slope, dx = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    stored = slope if ACTIVATIONS[name].stores_slope else None
    how = {"activation": name, "alpha": ALPHA[name]}
    backend.call("activation_forward", x=x, y=y, slope=stored, **how)
    backend.call("activation_backward", y=y, slope=stored, dy=np.ones_like(x), dx=dx, **how)
    return y, dx


def reference(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y and dy/dx by the formulas, in the precision of x."""
    formula = ACTIVATIONS[name]
    with np.errstate(all="ignore"):
        y = np.asarray(formula.value(x, ALPHA[name]), x.dtype)
        slope = formula.slope(x if formula.stores_slope else y, ALPHA[name])
        return y, np.broadcast_to(np.asarray(slope, x.dtype), x.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_special_values(name: str, dtype: str, backend: Backend) -> None:
    """Finite everywhere, and within a few ulp of float64's NumPy; denormals are not flushed."""
    x = special(dtype)
    exact = x.astype(np.float64)
    want, wanted_dx = reference(name, exact)
    y, dx = activate(backend, name, x)
    info = np.finfo(dtype)
    limit = 16 * info.eps * np.abs(want) + 4 * float(info.smallest_subnormal)
    if name not in RELATIVE:
        limit = limit + 16 * info.eps * np.minimum(np.abs(exact), 1)
    bad = ~(np.abs(y - want) <= limit)
    assert not bad.any(), [*zip(x[bad], y[bad], want[bad], strict=True)]
    # Where NumPy's slope is NaN in this precision it may be: far out gelu_tanh's is 0 · z², and z² overflows, as in PyTorch.
    finite = np.isfinite(reference(name, x)[1])
    x, dx, wanted_dx = x[finite], dx[finite], wanted_dx[finite]
    assert np.isfinite(dx).all(), x[~np.isfinite(dx)]
    bad = ~(np.abs(dx - wanted_dx) <= 64 * info.eps)
    assert not bad.any(), [*zip(x[bad], dx[bad], wanted_dx[bad], strict=True)]


def test_numpys_slope_is_a_number() -> None:
    """Else the test above would pass over it."""
    for name in ACTIVATIONS:
        for dtype in ("float32", "float64"):
            x = special(dtype)
            small = np.abs(x) < np.sqrt(np.finfo(dtype).max)
            assert np.isfinite(reference(name, x)[1][small]).all(), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_infinities(name: str, dtype: str, backend: Backend) -> None:
    """As in NumPy, NaN included: x Φ(x) at -inf is 0 · inf, which is 0 or NaN by convention."""
    y, dx = activate(backend, name, np.array([-INF, INF] * 20, dtype))
    want, wanted_dx = reference(name, np.array([-INF, INF] * 20))
    assert np.array_equal(y, want.astype(dtype), equal_nan=True)
    assert not np.isnan(dx[~np.isnan(wanted_dx)]).any()


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name: str) -> None:
    want, slope = reference(name, np.array([-INF, INF]))
    assert np.array_equal(want, LIMITS[name])
    assert name == "identity" or not np.isnan(slope).any()


@pytest.mark.parametrize("size", [1, 3, 7, 16, 17, 33])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_passes_through_and_stays_in_its_place(name: str, size: int, backend: Backend) -> None:
    for dtype in ("float32", "float64"):
        for where in {0, size // 2, size - 1}:
            x = np.linspace(-2, 2, size).astype(dtype)
            clean, _ = activate(backend, name, x)
            x[where] = NAN
            y, _ = activate(backend, name, x)
            assert np.isnan(y[where])
            assert np.array_equal(np.delete(y, where), np.delete(clean, where))


@pytest.mark.parametrize("name", PASSES_DENORMALS)
def test_denormals_survive(name: str, backend: Backend) -> None:
    for dtype in ("float32", "float64"):
        tiny = np.finfo(dtype).tiny
        x = np.array([tiny / 2, tiny / 1024, np.finfo(dtype).smallest_subnormal] * 11, dtype)
        y, _ = activate(backend, name, x)
        assert np.array_equal(y, x), f"{dtype}: {y[:3]} of {x[:3]}"


@pytest.mark.parametrize("name", KEEPS_SIGN_OF_ZERO)
def test_negative_zero(name: str, backend: Backend) -> None:
    for dtype in ("float32", "float64"):
        y, _ = activate(backend, name, np.full(33, -0.0, dtype))
        assert (y == 0).all()
        assert np.signbit(y).all()


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "elu", "softplus"])
def test_two_ulp(name: str, backend: Backend) -> None:
    """At most 2 ulp in float32 (the NumPy reference, which sums rounded steps, may take 4), over all magnitudes."""
    x = np.concatenate(
        [np.linspace(-90, 90, 20001), np.geomspace(1e-38, 90, 5000), -np.geomspace(1e-38, 90, 5000)]
    ).astype(np.float32)
    y, _ = activate(backend, name, x)
    with np.errstate(all="ignore"):
        want = np.asarray(ACTIVATIONS[name].value(x.astype(np.float64), 1.0))
    ulp = np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)
    error = np.abs(y - want) / ulp
    assert error.max() <= (2 if backend.name == "native" else 4), (
        f"{error.max():.2f} ulp at {x[error.argmax()]}"
    )


def test_exp_and_log_through_softmax(backend: Backend) -> None:
    for dtype in ("float32", "float64"):
        x = np.array(
            [
                [0, 1e4, -1e4],
                [-INF, 0, 1],
                [INF, 0, 0],
                [NAN, 0, 0],
                [1e30, 1e30, -1e30],
                [-INF] * 3,
                [5, 5, 5],
            ],
            dtype,
        )
        for log in (False, True):
            y = np.empty_like(x)
            backend.call("softmax_forward", x=x, y=y, log=log)
            p = np.exp(y) if log else y
            assert np.allclose(p[0], [0, 1, 0])
            assert np.allclose(p[1], [0, 1 / (1 + math.e), math.e / (1 + math.e)])
            assert np.isnan(p[3]).all()
            assert np.allclose(p[4], [0.5, 0.5, 0])
            assert np.isnan(p[5]).all()
            assert np.allclose(p[6], 1 / 3)


@pytest.mark.parametrize("kind", POINTWISE)
def test_losses_of_large_numbers(kind: str, backend: Backend) -> None:
    """Finite losses and slopes for predictions far out; NaN where a prediction is NaN."""
    values = {"poisson": [-80.0, 0.0, 80.0], "poisson_rate": [1e-20, 1.0, 1e8]}.get(
        kind, [-1e6, -30.0, 0.0, 30.0, 1e6]
    )
    target = -1.0 if kind == "hinge" else 1.0
    for dtype in ("float32", "float64"):
        for value in values:
            got = loss(backend, kind, value, target, dtype)
            exact = POINTWISE[kind].value(np.float64(dtype_of(dtype)(value)), np.float64(target), 0.7)
            slope = POINTWISE[kind].slope(np.float64(dtype_of(dtype)(value)), np.float64(target), 0.7)
            assert got[0] == pytest.approx(float(exact), rel=1e-5, abs=1e-6)
            assert got[1] == pytest.approx(float(slope), rel=1e-5, abs=1e-6)
        assert math.isnan(loss(backend, kind, NAN, target, dtype)[0])


def dtype_of(name: str) -> Any:
    return np.dtype(name).type


def loss(backend: Backend, kind: str, pred: float, target: float, dtype: str) -> tuple[float, float]:
    value, count, dpred = np.zeros(1), np.zeros(1), np.zeros((1, 1), dtype)
    p, t = np.full((1, 1), pred, dtype), np.full((1, 1), target, dtype)
    backend.call(
        "pointwise_loss",
        pred=p,
        target=t,
        loss=value,
        count=count,
        dpred=dpred,
        kind=kind,
        alpha=0.7,
        reduction="sum",
    )
    return float(value[0]), float(dpred[0, 0])


def test_cross_entropy_of_large_logits(backend: Backend) -> None:
    for dtype in ("float32", "float64"):
        for logits, label, want in (
            ([1e4, 0, 0], 0, 0.0), ([1e4, 0, 0], 1, 1e4), ([-1e4, -1e4, -1e4], 2, math.log(3)), ([-INF, 0, 0], 1, math.log(2)),
            ([1e30, 0, 0], 1, 1e30),
        ):  # fmt: skip
            value, dpred = np.zeros(1), np.zeros((1, 3), dtype)
            fields = {
                "pred": np.array([logits], dtype),
                "target": np.array([label]),
                "loss": value,
                "count": np.zeros(1),
                "dpred": dpred,
            }
            backend.call("softmax_cross_entropy", **fields)
            assert value[0] == pytest.approx(want, rel=1e-6, abs=1e-6), logits
            assert np.isfinite(dpred).all()
            assert dpred.sum() == pytest.approx(0, abs=1e-6)
