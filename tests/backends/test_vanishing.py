"""Gradients that vanish: they become 0 on native, for arithmetic on denormals takes up to a hundred times as long."""

import time
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from backpass.ops.contract import REGISTRY
from helpers.nets import on

RNG = np.random.default_rng(0)


def backward(dtype: str, factor: float) -> dict[str, Any]:
    """linear_backward with gradients of about this size."""
    x, weight, dy = (RNG.standard_normal(shape).astype(dtype) for shape in ((128, 96), (96, 80), (128, 80)))
    out = {
        "dx": np.ones_like(x),
        "dweight": np.ones_like(weight),
        "dbias": np.ones(80, dtype),
    }
    return REGISTRY["linear_backward"].complete(
        {"x": x, "weight": weight, "dy": dy * np.array(factor, dtype), **out}
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_denormal_gradients_are_zero(dtype: str, native: Backend) -> None:
    fields = backward(dtype, 1e-2 * np.finfo(dtype).tiny)
    assert fields["dy"].any()
    native.run_op("linear_backward", fields)
    for name in ("dx", "dweight", "dbias"):
        assert not fields[name].any(), name
    # The caller's own arithmetic keeps them.
    assert np.array(np.finfo(dtype).tiny) * np.array(0.5, dtype) > 0


def test_a_network_that_is_certain_learns_as_fast(native: Backend) -> None:
    """Of classes that are next to impossible the gradient is denormal, or becomes so on its way back."""
    seconds = {}
    X = np.eye(10, dtype=np.float32).repeat(40, 0)
    y = np.arange(10).repeat(40)
    for name, logits in (("unsure", 1.0), ("certain", 95.0)):
        layers = nn.Linear(10, 10), nn.Linear(10, 128), nn.ReLU(), nn.Linear(128, 10)
        model = on(
            native, bp.Model(nn.Sequential(*layers), "cross_entropy", optim.SGD(0.0), threads=1, seed=0)
        )
        state = model.state_dict()
        # One unit for each class, whose logit is as large as asked; the others differ a little.
        state["1.weight"] = np.zeros((128, 10), np.float32)
        state["1.weight"][:10] = np.eye(10)
        state["0.weight"], state["0.bias"] = np.eye(10, dtype=np.float32), np.zeros(10, np.float32)
        state["1.bias"] = np.zeros(128, np.float32)
        state["3.weight"] = (RNG.uniform(-5, 0, (10, 128))).astype(np.float32)
        state["3.weight"][:, :10] += logits * np.eye(10, dtype=np.float32)
        model.load_state_dict(state)
        best = []
        for _ in range(9):
            start = time.process_time()
            for _ in range(20):
                model.step(X, y)
            best.append(time.process_time() - start)
        seconds[name] = min(best)
    assert seconds["certain"] < 2 * seconds["unsure"]
