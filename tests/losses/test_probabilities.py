"""Cross entropy of class probabilities (live parity with PyTorch: test_torch_losses)."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 6))
LABELS = rng.integers(0, 3, 60)


def model(backend: Backend, **loss: Any) -> bp.Model:
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    made = bp.Model(net, nn.CrossEntropyLoss(**loss), optim.SGD(lr=1e-3), dtype="float64", backend="numpy")
    made.backend = backend
    return made


@pytest.mark.parametrize("loss", [{}, {"weight": [1, 2, 0.5], "label_smoothing": 0.1}], ids=["plain", "all"])
def test_certainty_is_a_class_index(backend: Backend, loss: dict[str, Any]) -> None:
    """The loss, the accuracy and the training; in the sum, because the mean of probabilities does not divide by the weights."""
    seen = []
    for y in (LABELS, np.eye(3)[LABELS]):
        made = model(backend, reduction="sum", **loss)
        history = made.fit(X, y, epochs=3, batch_size=20, validation_data=(X, y)).history
        seen.append([*history["loss"], *history["val_loss"], *history["val_accuracy"]])
    assert seen[1] == pytest.approx(seen[0], rel=1e-12)


def test_by_hand() -> None:
    made = bp.Model(nn.Identity(), "cross_entropy", dtype="float64")
    q, logits = np.array([[0.2, 0.8, 0], [0.5, 0, 0.5]]), np.array([[0.3, -1, 2], [0, 0, 0]])
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = -(q * log_p).sum(axis=1)
    assert made.evaluate(logits, q)["loss"] == pytest.approx(rows.mean())
    assert made.evaluate(logits, q, sample_weight=[3, 1])["loss"] == pytest.approx(
        (3 * rows[0] + rows[1]) / 4
    )


def test_gradient(backend: Backend) -> None:
    made = model(backend, weight=[1, 2, 0.5], label_smoothing=0.1)
    assert bp.gradcheck(made, X, rng.dirichlet(np.ones(3), 60)).worst_relative_error < 1e-5


def test_a_class_that_is_impossible_costs_nothing() -> None:
    """0 times a logarithm of -inf."""
    made = bp.Model(nn.Identity(), "cross_entropy")
    assert made.evaluate([[0.0, 0.0, -3e38]], [[0.5, 0.5, 0.0]])["loss"] == pytest.approx(np.log(2))
