"""A residual network that PyTorch made goes on here as it goes on there: weights, running statistics, 50 steps."""

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.cli.image_workloads import resnet8

pytestmark = pytest.mark.torch


def test_goes_on_as_in_torch() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((24, 3, 12, 12)), rng.integers(0, 10, 24)
    theirs = resnet8(torch.nn).double()
    optimizer = torch.optim.SGD(theirs.parameters(), 1e-2, momentum=0.9)

    def step(i: int) -> float:
        rows = slice(i % 3 * 8, i % 3 * 8 + 8)
        loss = torch.nn.functional.cross_entropy(theirs(torch.from_numpy(X[rows])), torch.from_numpy(y[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.item())

    for i in range(5):
        step(i)
    # Momentum begins anew on both sides: a state_dict of the network has none.
    optimizer = torch.optim.SGD(theirs.parameters(), 1e-2, momentum=0.9)
    ours = bp.Model(resnet8(nn), "cross_entropy", optim.SGD(1e-2, momentum=0.9), dtype="float64")
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    for i in range(50):
        rows = slice(i % 3 * 8, i % 3 * 8 + 8)
        assert ours.step(X[rows], y[rows]) == pytest.approx(step(i), rel=1e-9), i
    for name, value in theirs.state_dict().items():
        assert np.allclose(ours.state_dict()[name], value.numpy(), rtol=1e-7, atol=1e-10), name
    theirs.eval()
    with torch.inference_mode():
        assert np.allclose(ours.predict(X), theirs(torch.from_numpy(X)).numpy(), rtol=1e-7, atol=1e-9)
