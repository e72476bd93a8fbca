"""Initial weights: the distribution that each name promises, drawn from the model's seed alone."""

import math

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.nn.initial_weights import INIT

FAN_IN, FAN_OUT = 300, 200
UNIFORM = {
    "torch": 1 / math.sqrt(FAN_IN), "xavier_uniform": math.sqrt(6 / (FAN_IN + FAN_OUT)), "he_uniform": math.sqrt(6 / FAN_IN),
    "keras": math.sqrt(6 / (FAN_IN + FAN_OUT)), "sklearn": math.sqrt(6 / (FAN_IN + FAN_OUT)),
}  # fmt: skip
NORMAL = {
    "xavier_normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "he_normal": math.sqrt(2 / FAN_IN),
    "lecun_normal": math.sqrt(1 / FAN_IN),
}


def layer(
    init: str, fan_in: int = FAN_IN, fan_out: int = FAN_OUT, seed: int = 0, dtype: str = "float64"
) -> nn.Module:
    return bp.Model(nn.Linear(fan_in, fan_out, init=init), seed=seed, dtype=dtype).net


def test_all_are_tested() -> None:
    assert {*UNIFORM, *NORMAL, "orthogonal", "zeros"} == set(INIT)


@pytest.mark.parametrize("init", UNIFORM)
def test_uniform(init: str) -> None:
    weight, bound = layer(init).weight, UNIFORM[init]
    assert np.abs(weight).max() <= bound
    assert weight.min() < -0.99 * bound
    assert weight.max() > 0.99 * bound
    assert abs(weight.mean()) < 4 * bound / math.sqrt(3 * weight.size)
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    counts, _ = np.histogram(weight, 20, (-bound, bound))
    assert np.abs(counts / weight.size * 20 - 1).max() < 0.1


@pytest.mark.parametrize("init", NORMAL)
def test_normal(init: str) -> None:
    weight, sigma = layer(init).weight / NORMAL[init], 1.0
    assert abs(weight.mean()) < 4 / math.sqrt(weight.size)
    assert weight.std() == pytest.approx(sigma, rel=0.015)
    assert (weight**4).mean() == pytest.approx(3, rel=0.05)
    assert (np.abs(weight) < 1).mean() == pytest.approx(0.6827, abs=0.01)
    assert 3.5 < np.abs(weight).max() < 6


@pytest.mark.parametrize(("fan_in", "fan_out"), [(300, 200), (200, 300), (64, 64), (1, 1), (1, 7), (7, 1)])
def test_orthogonal(fan_in: int, fan_out: int) -> None:
    weight = layer("orthogonal", fan_in, fan_out).weight
    assert weight.shape == (fan_out, fan_in)
    gram = weight @ weight.T if fan_out <= fan_in else weight.T @ weight
    assert np.allclose(gram, np.eye(min(fan_in, fan_out)), atol=1e-12)


def test_orthogonal_is_uniformly_distributed() -> None:
    """Without the signs of R fixed, the diagonal would not have mean 0."""
    diagonals = np.array([np.diag(layer("orthogonal", 4, 4, seed).weight) for seed in range(300)])
    assert np.abs(diagonals.mean(axis=0)).max() < 0.15
    assert (diagonals**2).mean() == pytest.approx(1 / 4, abs=0.03)


def test_zeros() -> None:
    made = layer("zeros")
    assert not made.weight.any()
    assert not made.bias.any()


@pytest.mark.parametrize("init", INIT)
def test_bias(init: str) -> None:
    bias = layer(init).bias
    if init == "torch":
        assert np.abs(bias).max() <= 1 / math.sqrt(FAN_IN)
        assert bias.std() == pytest.approx(1 / math.sqrt(3 * FAN_IN), rel=0.15)
    elif init == "sklearn":
        assert np.abs(bias).max() <= UNIFORM[init]
        assert bias.std() == pytest.approx(UNIFORM[init] / math.sqrt(3), rel=0.15)
    else:
        assert not bias.any()


@pytest.mark.parametrize("init", INIT)
def test_the_seed_decides(init: str) -> None:
    def weight(dtype: str = "float64", seed: int = 0) -> np.ndarray:
        return layer(init, 31, 17, seed, dtype).weight

    for dtype in ("float32", "float64"):
        assert np.array_equal(weight(dtype), weight(dtype))
    assert np.array_equal(weight("float32"), weight("float64").astype(np.float32))
    if init != "zeros":
        assert not np.array_equal(weight(seed=0), weight(seed=1))


def test_layers_differ_and_do_not_depend_on_each_other() -> None:
    model = bp.Model(nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5)))
    assert not np.array_equal(model.net[0].weight, model.net[2].weight)
    assert not np.array_equal(model.net[0].weight[0], model.net[0].weight[1])
    other = bp.Model(nn.Sequential(nn.Linear(50, 5), nn.ReLU(), nn.Linear(5, 5)))
    assert np.array_equal(model.net[2].weight, other.net[2].weight)


def test_drawing_touches_no_global_state() -> None:
    np.random.seed(0)  # noqa: NPY002
    want = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    model = bp.Model(nn.Sequential(nn.Linear(5, 5), nn.Dropout(0.5)), seed=3)
    model.fit(np.ones((4, 5)), np.ones((4, 5)))
    assert np.random.random() == want  # noqa: NPY002


def test_other_layers() -> None:
    model = bp.Model(nn.Sequential(nn.BatchNorm1d(5), nn.LayerNorm((5,))))
    state = model.state_dict()
    for name in ("0.weight", "1.weight", "0.running_var"):
        assert (state[name] == 1).all()
    for name in ("0.bias", "1.bias", "0.running_mean", "0.num_batches_tracked"):
        assert not state[name].any()


def test_bias_can_be_left_out() -> None:
    model = bp.Model(nn.Linear(3, 2, bias=False), dtype="float64")
    assert model.state_dict().keys() == {"weight"}
    assert model.net.bias is None
    x = np.arange(6.0).reshape(2, 3)
    assert np.allclose(model.predict(x), x @ model.net.weight.T)
