"""How the tests of live parity hold a run of backpass against PyTorch's: 100 steps of the same network, weights and batches.

float64 agrees to 1e-10 in the losses and 1e-8 in the weights, float32 to 1e-4 in the losses. PyTorch is imported by the first
test that runs: to collect these tests costs nothing where they are left out, and where it is not installed they are skipped.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass.backends import Backend
from golden.cases import Case, batches, model_of, rows
from helpers.backends import BACKENDS

LOSS = {"float64": 1e-10, "float32": 1e-4}
WEIGHTS = 1e-8  # float64
Builder = Callable[[Any], Any]


@cache
def torch_peer() -> Any:
    """The module of that name."""
    missing = "PyTorch is not installed: live parity is skipped (pip install torch==2.13.0)"
    return pytest.importorskip("helpers.torch_peer", reason=missing)


def to_probability(layer: str) -> Builder:
    return lambda nn: nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4), getattr(nn, layer)(dim=-1))


def runs(cases: Iterable[str], core: Iterable[str]) -> list[tuple[str, str, str]]:
    """Case, backend, dtype: all on NumPy and native's own instruction set in both dtypes, `core` on every backend in float64."""
    native = [f"native-{bp.get_backend('native').isa}"] if "native" in bp.available_backends() else []
    full = [(name, backend, dtype) for name in cases for backend in [*native, "numpy"] for dtype in LOSS]
    return list(dict.fromkeys(full + [(name, backend, "float64") for name in core for backend in BACKENDS]))


@cache
def peer(case: Case, dtype: str) -> Any:
    """PyTorch's run of a case: once, for all backends."""
    return torch_peer().train(case, model_of(case, bp.get_backend("numpy"), dtype).state_dict(), dtype)


def deviation(got: Any, want: Any) -> float:
    """The largest difference, as a share of the largest value."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    return float(np.abs(got - want).max(initial=0) / max(np.abs(want).max(initial=0), 1e-12))


def relative(got: Any, want: Any) -> float:
    """The largest relative difference of two series, value by value."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    return float((np.abs(got - want) / np.maximum(np.abs(want), 1e-30)).max())


def check_trajectory(case: Case, backend: Backend, dtype: str, record: Callable[[str, float], None]) -> None:
    want = peer(case, dtype)
    model = model_of(case, backend, dtype)
    losses, rates = [], []
    for x, y in batches(case, dtype):
        losses.append(model.step(x, y))
        rates.append(model.lr)
    worst = relative(losses, want.losses)
    record("loss", worst)
    assert worst <= LOSS[dtype], f"losses differ by {worst:.2g}: {losses[-3:]}, PyTorch's {want.losses[-3:]}"
    assert relative(rates, want.rates) <= 1e-12, f"rates {rates[:5]}..., PyTorch's {want.rates[:5]}..."
    if dtype == "float64":
        check_trained(case, model, want, record)


def check_trained(case: Case, model: bp.Model, want: Any, record: Callable[[str, float], None]) -> None:
    """The trained weights and running statistics, what they give for inference, and their way from PyTorch and to it."""
    theirs = {key: value.numpy() for key, value in want.net.state_dict().items()}
    ours = model.state_dict()
    assert list(ours) == list(theirs)
    for key, value in ours.items():
        assert value.dtype == theirs[key].dtype
        record("weights", deviation(value, theirs[key]))
        assert deviation(value, theirs[key]) <= WEIGHTS, f"{key}: {value}, PyTorch's {theirs[key]}"
    x, y = rows(case, "float64")
    record("predictions", deviation(model.predict(x), want.predictions))
    assert deviation(model.predict(x), want.predictions) <= WEIGHTS
    assert abs(model.evaluate(x, y)["loss"] / want.evaluation - 1) <= WEIGHTS
    there = torch_peer().net_of(case, ours, "float64").eval()
    assert deviation(model.predict(x), there(torch_peer().tensor(x)).detach().numpy()) <= 1e-13
    back = model_of(case, model.backend, "float64")
    back.load_state_dict(want.net.state_dict())
    for key, value in back.state_dict().items():
        assert np.array_equal(value, theirs[key]), key
    assert deviation(back.predict(x), want.predictions) <= 1e-13


def peer_of(case: Case, model: bp.Model) -> tuple[Any, Any, Any]:
    """The same network, loss and optimizer in PyTorch, for a run that is not `train`."""
    net = torch_peer().net_of(case, model.state_dict(), "float64")
    return net, case.loss(torch_peer().nn).double(), torch_peer().optimizer_of(case, net)[0]
