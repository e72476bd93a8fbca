"""bp.gradcheck: passes where backpropagation is right, fails where it is wrong, and leaves the model alone."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from helpers.registered import sample_losses

rng = np.random.default_rng(1)
X = rng.standard_normal((12, 5))
CLASSES = rng.integers(0, 3, 12)


def network() -> nn.Sequential:
    """Every kind of layer."""
    inner = nn.Residual(nn.Linear(8, 8), nn.GELU())
    return nn.Sequential(
        nn.Linear(5, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.3),
        inner,
        nn.LayerNorm(8),
        nn.Tanh(),
        nn.Linear(8, 3),
    )


def test_right_gradients_pass(backend: Backend) -> None:
    model = bp.Model(network(), "cross_entropy", backend="numpy")
    model.backend = backend
    found = bp.gradcheck(model, X, CLASSES)
    assert found.worst_relative_error < 1e-6, str(found)
    assert found.checked == sum(array.size for array in model.parameters())
    assert 0 < found.backprop_seconds < found.brute_force_seconds


@pytest.mark.parametrize("name", sample_losses())
def test_losses_pass(name: str) -> None:
    sample = sample_losses()[name]
    net = sample.net(*network(), nn.Linear(3, sample.outputs), nn.Softplus())  # a variance is above 0
    found = bp.gradcheck(bp.Model(net, name), X, sample.y[:12])
    assert found.worst_relative_error < 1e-6, str(found)


def half_squares(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """A callable loss."""
    return float(((pred - y) ** 2).sum() / 2), pred - y


def test_callable_loss_passes() -> None:
    found = bp.gradcheck(bp.Model(network(), half_squares), X, rng.standard_normal((12, 3)))
    assert found.worst_relative_error < 1e-6, str(found)


def test_wrong_callable_loss_is_found() -> None:
    def wrong(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = half_squares(pred, y)
        return value, gradient * np.array([1, 1, 1.001])  # one output in a thousand

    found = bp.gradcheck(bp.Model(nn.Linear(5, 3), wrong), X, rng.standard_normal((12, 3)))
    assert found.worst_relative_error == pytest.approx(0.001 / 2.001, rel=1e-3)
    assert found.parameter.startswith(("weight[2", "bias[2]"))


def test_wrong_op_is_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from backpass.ops.contract import REGISTRY

    right = REGISTRY["layer_norm_backward"].function

    def wrong(**fields: Any) -> None:
        right(**fields)
        if fields["dweight"] is not None:
            fields["dweight"][3] += 1e-5

    model = bp.Model(network(), "cross_entropy", backend="numpy")
    assert bp.gradcheck(model, X, CLASSES).worst_relative_error < 1e-6
    function = model.backend.function
    monkeypatch.setattr(
        model.backend, "function", lambda name: wrong if name == "layer_norm_backward" else function(name)
    )
    found = bp.gradcheck(model, X, CLASSES)
    assert found.worst_relative_error > 1e-5
    assert found.parameter == "5.weight[3]"


def test_a_kink_within_epsilon_is_no_error() -> None:
    model = bp.Model(nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)), "mse", dtype="float64")
    model.load_state_dict(
        {"0.weight": [[1.0]], "0.bias": [-1.0 + 5e-7], "2.weight": [[1.0]], "2.bias": [0.0]}
    )
    found = bp.gradcheck(model, [[1.0], [2.0]], [[0.0], [0.0]])  # the first row is 5e-7 above the kink
    assert found.worst_relative_error < 1e-6, str(found)


def test_the_model_is_untouched() -> None:
    model = bp.Model(network(), "cross_entropy")
    model.step(X, CLASSES)
    before, gradients, steps = (
        model.state_dict(),
        [g.copy() for g in model.gradients()],
        int(model.engine.step_count[0]),
    )
    bp.gradcheck(model, X, CLASSES)
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
    assert all(np.array_equal(a, b) for a, b in zip(gradients, model.gradients(), strict=True))
    assert model.engine.step_count[0] == steps
    assert model.dtype == np.float32


def test_max_parameters() -> None:
    model = bp.Model(network(), "cross_entropy")
    found = bp.gradcheck(model, X, CLASSES, max_parameters=7)
    assert found.checked == 7
    assert found.parameter == bp.gradcheck(model, X, CLASSES, max_parameters=7).parameter
    assert "7 of them" in str(found)
    assert found.parameter in str(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"epsilon": 0}, "epsilon is 0"), ({"max_parameters": 0}, "max_parameters is 0")],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bp.gradcheck(bp.Model(network(), "cross_entropy"), X, CLASSES, **arguments)


def test_infinite_loss_says_so() -> None:
    model = bp.Model(nn.Linear(5, 3), lambda pred, y: (float("inf"), pred))
    with pytest.raises(bp.NonFiniteError, match="the loss is inf"):
        bp.gradcheck(model, X, CLASSES)
