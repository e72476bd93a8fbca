"""Rows do not see each other: what is predicted for one does not depend on its neighbours."""

from collections.abc import Callable

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from helpers.nets import X, on
from helpers.registered import activation_layers

NETS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(6, 3),
    "one output": lambda: nn.Sequential(nn.Linear(6, 1)),
    "one feature": lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 1), nn.Linear(1, 5)),
    "wide": lambda: nn.Sequential(
        nn.Linear(6, 150), nn.ReLU(), nn.Linear(150, 70), nn.Tanh(), nn.Linear(70, 17)
    ),
    "very wide": lambda: nn.Sequential(nn.Linear(6, 1030), nn.ReLU(), nn.Linear(1030, 9)),
    "layer norm": lambda: nn.Sequential(nn.Linear(6, 33), nn.LayerNorm(33), nn.Linear(33, 7)),
    "narrow layer norm": lambda: nn.Sequential(nn.Linear(6, 3), nn.LayerNorm(3)),
    "softmax": lambda: nn.Sequential(nn.Linear(6, 5), nn.Softmax()),
    "softmax of 37": lambda: nn.Sequential(nn.Linear(6, 37), nn.Softmax()),
    "log softmax": lambda: nn.Sequential(nn.Linear(6, 11), nn.LogSoftmax()),
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 19), nn.BatchNorm1d(19), nn.GELU(), nn.Linear(19, 2)),
    "residual": lambda: nn.Sequential(
        nn.Residual(nn.Linear(6, 13), nn.SiLU(), nn.Linear(13, 6)), nn.Dropout(0.5)
    ),
    **{
        f"{name} of {width}": lambda make=make, width=width: nn.Sequential(nn.Linear(6, width), make())  # type: ignore[misc]
        for name, make in activation_layers().items()
        for width in (1, 7, 18)
    },
    "activation alone": lambda: nn.Sequential(nn.Tanh(), nn.Identity(), nn.GELU()),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETS)
def test_a_row_is_predicted_alike_alone_and_among_others(native: Backend, name: str, dtype: str) -> None:
    model = on(native, bp.Model(NETS[name](), dtype=dtype))
    rng = np.random.default_rng(1)
    for layer in model.net.walk():
        for key in layer[1].state:
            if key.startswith("running"):
                layer[1].state[key][...] = rng.uniform(0.5, 2, layer[1].state[key].shape)
    x = rng.standard_normal((97, 6)) * 3
    whole = model.predict(x)
    for i in range(97):
        assert np.array_equal(whole[i], model.predict(x[i : i + 1])[0]), f"row {i} alone"
    for n in (2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 96):
        assert np.array_equal(whole[:n], model.predict(x[:n])), f"the first {n}"
        assert np.array_equal(whole[-n:], model.predict(x[-n:])), f"the last {n}"


def test_a_row_is_predicted_alike_in_a_large_batch(native: Backend) -> None:
    model = on(
        native,
        bp.Model(nn.Sequential(nn.Linear(6, 300), nn.Tanh(), nn.Linear(300, 10), nn.Softmax()), threads=2),
    )
    x = np.resize(X, (1537, 6)) + np.arange(1537)[:, None] / 1000
    whole = model.predict(x)
    for i in (0, 1, 127, 128, 511, 512, 513, 1023, 1024, 1535, 1536):
        assert np.array_equal(whole[i : i + 1], model.predict(x[i : i + 1]))
    model.threads = 1
    assert np.array_equal(whole, model.predict(x))


def test_a_row_that_is_not_finite_leaves_the_others_alone(native: Backend) -> None:
    model = on(
        native,
        bp.Model(
            nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.LayerNorm(20), nn.Linear(20, 3), nn.Softmax())
        ),
    )
    want, bad = model.predict(X), X.copy()
    bad[7] = np.nan
    got = model.predict(bad)
    assert np.isnan(got[7]).all()
    assert np.array_equal(np.delete(got, 7, 0), np.delete(want, 7, 0))
