"""Weights and copies: the state dict, named parameters and gradients, writing to them; deepcopy and pickle."""

import pickle
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from helpers.nets import LABELS, X, Y, assert_same, net, on


def test_state_dict_has_pytorchs_keys_and_layout() -> None:
    model = bp.Model(net())
    shapes = {k: v.shape for k, v in model.state_dict().items()}
    assert shapes == {
        "0.weight": (16, 6), "0.bias": (16,), "1.weight": (16,), "1.bias": (16,), "1.running_mean": (16,), "1.running_var": (16,),
        "1.num_batches_tracked": (), "4.inner.0.weight": (16, 16), "4.inner.0.bias": (16,), "5.weight": (16,), "5.bias": (16,),
        "6.weight": (3, 16), "6.bias": (3,),
    }  # fmt: skip
    assert [*shapes] == [k for k in shapes if k in model.state_dict()]
    assert model.state_dict()["1.num_batches_tracked"].dtype == np.int64
    assert bp.Model(nn.Linear(2, 3)).state_dict().keys() == {"weight", "bias"}
    shaped = bp.Model(nn.LayerNorm((2, 3))).state_dict()
    assert shaped["weight"].shape == shaped["bias"].shape == (2, 3)
    model.fit(X, Y, epochs=2, batch_size=16)
    assert model.state_dict()["1.num_batches_tracked"] == 10


def test_linear_computes_what_pytorch_writes() -> None:
    model = bp.Model(nn.Linear(6, 3), dtype="float64")
    state = model.state_dict()
    assert np.allclose(model.predict(X), X @ state["weight"].T + state["bias"], rtol=1e-12, atol=1e-12)


def test_state_dict_is_a_copy_and_goes_back() -> None:
    model, other = bp.Model(net(), seed=1), bp.Model(net(), seed=2, dtype="float64")
    model.fit(X, Y)
    state = model.state_dict()
    want = model.predict(X)
    other.load_state_dict(state)
    assert np.allclose(other.predict(X), want, atol=1e-5)
    for array in state.values():
        assert array.flags.c_contiguous
        assert array.flags.owndata or array.base is None
        array[...] = 0
    assert np.array_equal(model.predict(X), want)


def test_writing_to_a_weight_changes_the_network(backend: Backend) -> None:
    model = on(backend, bp.Model(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)), "mse"))
    layer = model.net[2]
    assert layer.weight.shape == (3, 4)
    model.predict(X), model.step(X, Y)  # programs exist already
    layer.weight[...] = 0
    layer.bias[:] = [1, 2, 3]
    assert np.array_equal(model.predict(X), np.broadcast_to(np.float32([1, 2, 3]), (70, 3)))
    layer.weight = np.ones((3, 4))
    layer.bias = 0
    hidden = np.maximum(X @ model.net[0].weight.T + model.net[0].bias, 0)
    assert np.allclose(model.predict(X), np.repeat(hidden.sum(axis=1, keepdims=True), 3, axis=1), atol=1e-5)
    assert np.shares_memory(layer.weight, model.parameters()[2])
    dict(model.named_parameters())["0.weight"][...] = 0
    dict(model.named_parameters())["0.bias"][...] = 0
    assert (model.predict(X) == 0).all()
    assert model.step(X, Y) == pytest.approx(float((Y**2).mean()), rel=1e-5)


def test_named_parameters_and_gradients(backend: Backend) -> None:
    model = on(backend, bp.Model(net(), "mse"))
    names = [name for name, _ in model.named_parameters()]
    assert names == [k for k in model.state_dict() if "running" not in k and "num_batches" not in k]
    assert [p.shape for p in model.parameters()] == [g.shape for g in model.gradients()]
    model.step(X, Y)
    gradients = dict(zip(names, model.gradients(), strict=True))
    assert all(
        np.isfinite(g).all() and g.any() for k, g in gradients.items() if k != "0.bias"
    )  # BatchNorm removes that one
    assert not any(np.shares_memory(p, g) for p, g in zip(model.parameters(), model.gradients(), strict=True))


def test_two_batches_do_not_add_up() -> None:
    model = bp.Model(nn.Linear(6, 3), "mse", optim.SGD(lr=0.0))
    model.step(X, Y)
    once = [g.copy() for g in model.gradients()]
    model.step(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(once, model.gradients(), strict=True))


def test_deepcopy_of_a_net_is_a_new_net() -> None:
    built = net()
    model = bp.Model(built)
    model.fit(X, Y)
    copied = deepcopy(built)
    with pytest.raises(TypeError, match="has no values yet"):
        np.asarray(copied[0].weight)
    again = bp.Model(copied)
    assert_same(again, bp.Model(net()))
    assert not np.shares_memory(again.net[0].weight, model.net[0].weight)
    shared = nn.Linear(4, 4)
    twice = deepcopy(nn.Sequential(shared, nn.ReLU(), shared))
    assert twice[0] is twice[2]


@pytest.mark.parametrize(
    "copied", [deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_copy_of_a_model_trains_on_alone(copied: Callable[[bp.Model], bp.Model]) -> None:
    model = bp.Model(
        net(), "cross_entropy", optim.NAdam(lr=optim.schedules.cosine(1e-2, 200)), threads=1, seed=3
    )
    model.fit(X, LABELS, epochs=2, batch_size=16)
    model.predict(X), model.step(X, LABELS), model.forward(X, training=True)
    copy = copied(model)
    assert_same(copy, model)
    assert np.array_equal(copy.predict(X), model.predict(X))
    a, b = (m.fit(X, LABELS, epochs=2, batch_size=16).history for m in (model, copy))
    assert a == b
    assert_same(copy, model)
    assert np.array_equal(copy.predict(X), model.predict(X))
    before = model.state_dict()
    copy.fit(X, LABELS)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
