"""Products that leave out the zeros of a dense x: the bits never depend on it."""

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from helpers.nets import on


def thin_data(rows: int, features: int, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.standard_normal((rows, features)) * (rng.random((rows, features)) < 0.05)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_change_no_bit(native: Backend, dtype: str) -> None:
    """300 rows at once leave out the zeros; 16 are too few to."""
    x = thin_data(300, 257, dtype)
    model = on(native, bp.Model(nn.Sequential(nn.Linear(257, 75), nn.Tanh(), nn.Linear(75, 3)), dtype=dtype))
    whole = model.predict(x)
    for start in range(0, 300, 16):
        assert np.array_equal(whole[start : start + 16], model.predict(x[start : start + 16]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_sparse_batches(native: Backend, dtype: str) -> None:
    x = thin_data(300, 257, dtype)
    model = on(native, bp.Model(nn.Sequential(nn.Linear(257, 75), nn.Tanh(), nn.Linear(75, 3)), dtype=dtype))
    other = on(
        bp.get_backend("numpy"),
        bp.Model(nn.Sequential(nn.Linear(257, 75), nn.Tanh(), nn.Linear(75, 3)), dtype=dtype),
    )
    dy = np.random.default_rng(3).standard_normal((300, 3)).astype(dtype)
    for each in (model, other):
        each.forward(x, training=True)
        each.backward(dy)
    for a, b in zip(model.gradients(), other.gradients(), strict=True):
        assert np.allclose(
            a, b, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-4 if dtype == "float32" else 1e-12
        )


def test_a_weight_that_is_not_finite_shows_through_zeros(native: Backend) -> None:
    x = thin_data(300, 257, "float32")
    x[:, 7] = 0
    model = on(native, bp.Model(nn.Sequential(nn.Linear(257, 75))))
    model.parameters()[0][5, 7] = np.inf
    got = model.predict(x)
    assert np.isnan(got[:, 5]).all()
    assert np.isfinite(np.delete(got, 5, axis=1)).all()
