"""nn.init: what the functions of PyTorch's names draw, in every layout, by the seed of the model."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.backends import once
from helpers.torch_parity import torch_peer

# The functions with some options; (out, in) large enough that a standard deviation tells.
DRAWN: dict[str, tuple[str, dict[str, Any]]] = {
    "uniform": ("uniform_", {"a": -1.0, "b": 3.0}),
    "normal": ("normal_", {"mean": 0.5, "std": 0.1}),
    "truncated": ("trunc_normal_", {"mean": 0.2, "std": 1.5, "a": -1.0, "b": 2.0}),
    "xavier uniform": ("xavier_uniform_", {"gain": 2.0}),
    "xavier normal": ("xavier_normal_", {}),
    "kaiming uniform": ("kaiming_uniform_", {"nonlinearity": "relu"}),
    "kaiming normal": ("kaiming_normal_", {"mode": "fan_out", "a": 0.3}),
    "orthogonal": ("orthogonal_", {"gain": 1.7}),
    "zeros": ("zeros_", {}),
    "ones": ("ones_", {}),
    "constant": ("constant_", {"val": 0.7}),
}
LAYERS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "linear": (lambda: nn.Linear(120, 90), "weight"),
    "convolution": (lambda: nn.Conv2d(24, 30, (3, 5)), "weight"),
    "recurrent": (lambda: nn.LSTM(60, 50), "weight_ih_l0"),
    "table": (lambda: nn.Embedding(200, 70), "weight"),
}


def weights(layer: str, change: Callable[[Any], Any], seed: int = 0) -> np.ndarray:
    make, name = LAYERS[layer]
    module = make()
    assert change(getattr(module, name)) is getattr(module, name)
    array: np.ndarray = bp.Model(module, dtype="float64", seed=seed).state_dict()[name]
    return array


@pytest.mark.torch
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", DRAWN)
def test_moments_are_those_of_torch(name: str, layer: str) -> None:
    torch = torch_peer().torch
    function, options = DRAWN[name]
    ours = weights(layer, lambda tensor: getattr(nn.init, function)(tensor, **options))
    torch.manual_seed(0)
    theirs = getattr(torch.nn.init, function)(torch.empty(ours.shape, dtype=torch.float64), **options).numpy()
    assert ours.shape == theirs.shape
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.05 * theirs.std() + 1e-12)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03, abs=1e-12)
    # The largest of a bell curve is another one with each seed.
    bell = "normal" in name or name == "orthogonal"
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.4 if bell else 0.01)


@once
@pytest.mark.parametrize("layer", LAYERS)
def test_orthogonal_rows_or_columns(layer: str) -> None:
    array = weights(layer, nn.init.orthogonal_)
    flat = array.reshape(len(array), -1)
    product = flat @ flat.T if len(flat) <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


@once
def test_each_element_is_where_users_see_it() -> None:
    """The layout in which a layer stores its weights is its own."""
    array = weights("linear", nn.init.eye_)
    assert np.array_equal(array, np.eye(90, 120))


@once
def test_the_seed_of_the_model_draws() -> None:
    same = [weights("linear", nn.init.xavier_normal_, seed) for seed in (3, 3, 4)]
    assert np.array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])


@once
def test_apply_and_copies() -> None:
    def start(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.constant_(module.bias, 0.25)

    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).apply(start)
    states = [
        bp.Model(each, seed=2).state_dict()
        for each in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net)
    ]
    assert (states[0]["0.bias"] == 0.25).all()
    for name in states[0]:
        assert np.array_equal(states[0][name], states[1][name])
        assert np.array_equal(states[0][name], states[2][name])


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no parameter": (
        lambda layer: nn.init.zeros_(np.ones(3)),
        "bp.Model has made its weights, write into them",
    ),
    "one dimension": (
        lambda layer: nn.init.xavier_uniform_(layer.bias),
        r"shape \(3,\), expected \(out, in\)",
    ),
    "an unknown mode": (lambda layer: nn.init.kaiming_normal_(layer.weight, mode="fan"), "mode is 'fan'"),
    "an unknown function": (lambda layer: nn.init.calculate_gain("swish"), "nonlinearity is 'swish'"),
    "a range out of reach": (
        lambda layer: nn.init.trunc_normal_(layer.weight, a=9.0, b=10.0),
        "a range that mean",
    ),
    "a number that is none": (
        lambda layer: nn.init.constant_(layer.weight, "one"),
        "val is 'one', expected a number",
    ),
    "no spread": (lambda layer: nn.init.normal_(layer.weight, std=0), "std is 0, expected a number above 0"),
    "an empty range": (
        lambda layer: nn.init.uniform_(layer.weight, 2, 1),
        "a is 2 and b 1, expected a at most b",
    ),
    "no matrix": (lambda layer: nn.init.eye_(layer.bias), r"expected \(rows, columns\)"),
}


@once
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    function, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=message):
        function(nn.Linear(4, 3))


@once
def test_a_parameter_of_a_model_is_refused() -> None:
    layer = nn.Linear(4, 3)
    parameter = layer.weight
    bp.Model(layer)
    with pytest.raises(ValueError, match="that a model has made: write into it"):
        nn.init.ones_(parameter)
