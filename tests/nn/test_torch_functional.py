"""Activations and losses as functions beside PyTorch's: values and slopes, at bends, far out, for NaN, with all options."""

from typing import Any

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


def test_learned_slopes(backend: Backend) -> None:
    torch = torch_peer().torch
    weight = np.array([0.3, -2.0, 0.0])
    x = np.stack([np.append(X[0, :-1], np.inf)] * 3)[None]

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.each = nn.Parameter(weight)
            self.all = nn.Parameter(np.array([0.7]))

        def forward(self, x):
            return F.prelu(x, self.each) + F.prelu(x, self.all)

    model = bp.Model(Network(), dtype="float64")
    model.backend = backend
    ours = model.forward(x, training=True)
    slopes = model.backward(np.ones_like(x))
    given = [torch.tensor(value, requires_grad=True) for value in (x, weight, np.array([0.7]))]
    theirs = torch.prelu(given[0], given[1]) + torch.prelu(given[0], given[2])
    theirs.sum().backward()
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12)
    for got, want in zip((slopes, *model.gradients()), given, strict=True):
        np.testing.assert_allclose(got, want.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_learned_slopes_of_another_shape() -> None:
    class Network(nn.Module):
        def forward(self, x):
            return F.prelu(x, np.ones(2))

    message = r"prelu: weight has shape \(2,\), expected a tensor of shape \(1,\) or \(3,\)"
    with pytest.raises(ValueError, match=message):
        bp.Model(Network()).predict(np.ones((4, 3)))


def test_saturated_probabilities_have_a_loss_and_no_nan() -> None:
    """A sigmoid in float32 gives 0 and 1 exactly."""
    torch = torch_peer().torch
    x, y = np.array([[0.0, 0, 1, 1, 0.5]]), np.array([[0.0, 1, 0, 1, 0.3]])

    class Network(nn.Module):
        def forward(self, x):
            return F.binary_cross_entropy(x, y, "none")

    model = bp.Model(Network(), dtype="float64")
    ours = model.forward(x, training=True)
    theirs = torch.nn.functional.binary_cross_entropy(torch.tensor(x), torch.tensor(y), reduction="none")
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12, atol=0)
    np.testing.assert_allclose(model.backward(np.ones_like(x)), [[1, 0, 0, -1, 0.8]], rtol=1e-12, atol=0)


CLASSES = np.array([0, 3, 1, -100, 2, 2])
WEIGHT = [1.0, 2.0, 0.5, 0.0]
RNG = np.random.default_rng(5)
SHARES = RNG.dirichlet(np.ones(4), 6)
SHARES[0] = [0, 1, 0, 0]
FLAGS = (RNG.random((6, 4)) > 0.5) * 1.0
# The function, its targets, and its options.
LOSSES: dict[str, tuple[str, np.ndarray, dict[str, Any]]] = {
    "classes": ("cross_entropy", CLASSES, {}),
    "weighted": ("cross_entropy", CLASSES, {"weight": WEIGHT}),
    "smooth": ("cross_entropy", CLASSES, {"label_smoothing": 0.2}),
    "smooth and weighted": ("cross_entropy", CLASSES, {"label_smoothing": 0.2, "weight": WEIGHT}),
    "each": ("cross_entropy", CLASSES, {"label_smoothing": 0.2, "weight": WEIGHT, "reduction": "none"}),
    "sum": ("cross_entropy", CLASSES, {"weight": WEIGHT, "reduction": "sum"}),
    "shares": ("cross_entropy", SHARES, {"label_smoothing": 0.1, "weight": WEIGHT}),
    "nll": ("nll_loss", CLASSES, {"weight": WEIGHT}),
    "kl": ("kl_div", SHARES, {"reduction": "batchmean"}),
    "kl of logarithms": ("kl_div", np.log(SHARES[1:]), {"log_target": True, "reduction": "sum"}),
    "logits": ("binary_cross_entropy_with_logits", FLAGS, {"reduction": "sum"}),
    "probabilities": ("binary_cross_entropy", FLAGS, {}),
    "cosine": ("cosine_similarity", FLAGS, {"dim": -1}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    torch = torch_peer().torch
    function, target, options = LOSSES[name]
    x = 9 * np.random.default_rng(1).standard_normal((len(target), 4))
    if function == "binary_cross_entropy":
        x = 1 / (1 + np.exp(-x))
    model = bp.Model(
        nn.Linear(4, 4, bias=False), nn.traced(lambda p, y: getattr(F, function)(p, y, **options)), "sgd", dtype="float64"
    )  # fmt: skip
    model.load_state_dict({"weight": np.eye(4)})
    loss = model.step(x, target)

    weight = torch.eye(4, dtype=torch.float64, requires_grad=True)
    given = options | ({"weight": torch.tensor(WEIGHT, dtype=torch.float64)} if "weight" in options else {})
    theirs = getattr(torch.nn.functional, function)(
        torch.tensor(x) @ weight.T, torch.tensor(target), **given
    ).mean()
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), rel=1e-12)
    np.testing.assert_allclose(model.gradients()[0], weight.grad.numpy(), rtol=1e-11, atol=1e-13)
