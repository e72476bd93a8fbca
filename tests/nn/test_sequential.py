"""Layers of a Sequential by name."""

import copy
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import backpass as bp
from backpass import nn


def named() -> nn.Sequential:
    head = nn.Sequential({"out": nn.Linear(8, 3), "act": nn.Tanh()})
    return nn.Sequential(OrderedDict(body=nn.Linear(4, 8), act=nn.ReLU(), head=head))


def test_names_stand_in_the_state_and_as_attributes() -> None:
    net = named()
    assert net.body is net[0]
    assert net.head.out is net[2].layers[0]  # type: ignore[attr-defined]
    assert repr(net[1:]).startswith("Sequential({'act': ReLU(), 'head': ")
    assert repr(eval(repr(net), vars(nn))) == repr(net)
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(copied) == repr(net)
        assert copied.body is copied[0]
    keys = ["body.weight", "body.bias", "head.out.weight", "head.out.bias"]
    assert [*bp.Model(net, "mse").state_dict()] == keys


def test_it_computes_what_the_same_without_names_computes(tmp_path: Path) -> None:
    X, Y = np.random.default_rng(0).standard_normal((2, 12, 4))
    model = bp.Model(named(), "mse", seed=3)
    plain = bp.Model(
        nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 3), nn.Tanh())), "mse", seed=3
    )
    for one in (model, plain):
        one.fit(X, Y[:, :3], epochs=3)
    assert np.array_equal(model.predict(X), plain.predict(X))
    model.save(tmp_path / "named.safetensors")
    loaded = bp.load(tmp_path / "named.safetensors")
    assert repr(loaded.net) == repr(model.net)
    assert np.array_equal(loaded.predict(X), model.predict(X))


class MLP(nn.Sequential):
    def __init__(self, layers: int = 2, p: float = 0.1) -> None:
        body = OrderedDict((f"layer{i}", nn.Linear(4, 4)) for i in range(layers))
        super().__init__(OrderedDict(**body, drop=nn.Dropout(p)))


def test_a_class_of_ones_own_keeps_its_arguments() -> None:
    net = MLP(3)
    assert repr(net) == "MLP(layers=3)"
    net.p = 0.5
    assert net.drop.p == 0.5
    assert "layer2" in dir(net)
    model = bp.Model(net, "mse")
    with pytest.raises(ValueError, match=r"p of .* makes other layers, and has its weights"):
        net.p = 0.2
    model.fit(np.ones((4, 4)), np.ones((4, 4)), epochs=1)


def test_a_dict_that_changes_later_changes_no_network() -> None:
    layers = {"a": nn.Linear(2, 2)}
    net = nn.Sequential(layers)
    layers["b"] = nn.Linear(2, 2)
    assert [*dict(net.named_children())] == ["a"]
    assert repr(net) == "Sequential({'a': Linear(2, 2)})"
