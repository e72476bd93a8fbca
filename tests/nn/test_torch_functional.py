"""Activation functions that are expressions: values and slopes beside PyTorch's, at their bends, far out, and for NaN."""

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn
from backpass.backends import Backend
from helpers.torch_parity import torch_peer

pytestmark = pytest.mark.torch
# 1/6 and the 1/alpha of celu are float32's in PyTorch's slopes: of e^(x / alpha) 2e-7 is wrong at -9.
ROUGH = ("celu", "hardsigmoid", "hardswish")
NAMES = ("hardtanh", "relu6", "selu", "logsigmoid", "mish", "softsign", *ROUGH)
X = np.array([*np.linspace(-9, 9, 361), -700, -40, -20.5, 20.5, 40, 700, np.nan])[None]


@pytest.mark.parametrize("name", NAMES)
def test_values_and_slopes(name: str, backend: Backend) -> None:
    torch = torch_peer().torch
    options = {"alpha": 0.7} if name == "celu" else {}

    class Network(nn.Module):
        def forward(self, x):
            return getattr(F, name)(x, **options)

    model = bp.Model(Network(), dtype="float64")
    model.backend = backend
    ours = model.forward(X, training=True)
    slopes = model.backward(np.ones_like(X))
    x = torch.tensor(X, requires_grad=True)
    theirs = getattr(torch.nn.functional, name)(x, **options)
    theirs.sum().backward()
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12, atol=1e-14)
    limit = 1e-6 if name in ROUGH else 1e-12
    # The slope of NaN is whatever a comparison with it gives.
    np.testing.assert_allclose(slopes[:, :-1], x.grad.numpy()[:, :-1], rtol=limit, atol=1e-14)
