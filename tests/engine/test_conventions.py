"""bp.Model(like=): which settings follow a library, and that whatever was given stays."""

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.engine import conventions

X = np.random.default_rng(0).standard_normal((12, 6))


def net(**arguments: Any) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5, **arguments), nn.BatchNorm1d(5), nn.LayerNorm(5), nn.Linear(5, 2))


def test_every_convention_of_keras() -> None:
    model = bp.Model(net(init="zeros"), optimizer=optim.Adam(3e-4), like="keras")
    assert repr(model.net) == (
        "Sequential(Linear(6, 5, init='zeros'), BatchNorm1d(5, eps=0.001, momentum=0.01, unbiased=False),"
        " LayerNorm(5, eps=0.001), Linear(5, 2, init='keras'))"
    )
    assert repr(model.optimizer) == "Adam(lr=0.0003, eps=1e-07, eps_hat=True)"
    assert model.like == "keras"


OPTIMIZERS = {
    ("keras", "sgd"): "SGD(lr=0.01, lr_in_velocity=True)",
    ("keras", "adamw"): "AdamW(lr=0.001, eps=1e-07, weight_decay=0.004, eps_hat=True)",
    ("keras", "rmsprop"): "RMSprop(lr=0.001, alpha=0.9, eps=1e-07, eps_inside=True, lr_in_velocity=True)",
    ("keras", "adagrad"): "Adagrad(lr=0.001, initial_accumulator_value=0.1000001, eps=0.0)",
    ("keras", "nadam"): "NAdam(lr=0.001, eps=1e-07)",
    ("sklearn", "sgd"): "SGD(lr=0.001, momentum=0.9, nesterov=True, lr_in_velocity=True)",
    ("sklearn", "adam"): "Adam(lr=0.001, eps_hat=True)",
    ("sklearn", "rmsprop"): "RMSprop(lr=0.01)",
    ("torch", "adam"): "Adam(lr=0.001)",
    (None, "sgd"): "SGD(lr=0.001)",
}  # fmt: skip


@pytest.mark.parametrize(("like", "name"), OPTIMIZERS)
def test_optimizers_by_name_given_and_assigned(like: Any, name: Any) -> None:
    want = OPTIMIZERS[like, name]
    model = bp.Model(net(), optimizer=name, like=like)
    assert repr(model.optimizer) == want
    other = bp.Model(net(), like=like)
    other.optimizer = name
    assert repr(other.optimizer) == want


def test_what_is_given_stays() -> None:
    given = optim.RMSprop(0.1, 0.99, momentum=0.5, eps_inside=False)
    model = bp.Model(net(), optimizer=given, like="keras")
    assert repr(model.optimizer) == "RMSprop(lr=0.1, eps=1e-07, momentum=0.5, lr_in_velocity=True)"
    norms = nn.Sequential(nn.BatchNorm1d(6, 1e-5), nn.BatchNorm1d(6, momentum=0.1, unbiased=True))
    bp.Model(norms, like="keras")
    assert repr(norms) == (
        "Sequential(BatchNorm1d(6, momentum=0.01, unbiased=False), BatchNorm1d(6, eps=0.001))"
    )


def test_what_is_set_later_stays() -> None:
    layer, optimizer = nn.LayerNorm(6), optim.Adam()
    layer.eps, optimizer.eps = 1e-5, 1e-8
    model = bp.Model(layer, optimizer=optimizer, like="keras")
    assert (layer.eps, model.optimizer.eps, model.optimizer.eps_hat) == (1e-5, 1e-8, True)
    model.optimizer.eps = optimizer.eps = 1e-3
    assert model.optimizer.eps_hat
    model.optimizer = optimizer
    assert (model.optimizer.eps, model.optimizer.eps_hat) == (1e-3, True)


def test_objects_that_are_given_stay_as_they_are() -> None:
    """They may be another model's; without anything to follow the model takes the object itself."""
    parts = nn.MSELoss(), optim.SGD(0.1)
    first = bp.Model(nn.Linear(6, 2), *parts)
    before = repr(parts), first.evaluate(X, np.ones((12, 2)))
    second = bp.Model(nn.Linear(6, 2), *parts, like="sklearn")
    assert (repr(parts), first.evaluate(X, np.ones((12, 2)))) == before
    assert repr(second.optimizer) == "SGD(lr=0.1, momentum=0.9, nesterov=True, lr_in_velocity=True)"
    second.optimizer = parts[1]
    assert repr(parts) == before[0]
    groups: Any = optim.Adam([{"params": "weight"}, {"params": "bias", "eps": 1e-4}], clip_grad_norm=2.0)
    shown = repr(groups)
    third = bp.Model(nn.Linear(6, 2), optimizer=groups, like="keras")
    assert repr(groups) == shown
    assert third.optimizer.clip_grad_norm == 2.0
    assert bp.Model(nn.Linear(6, 2), *parts, like="torch").optimizer is parts[1]
    assert bp.Model(nn.Linear(6, 2), optimizer=third.optimizer, like="keras").optimizer is third.optimizer


@pytest.mark.parametrize(
    ("settings", "shown"),
    [({"initial_accumulator_value": 0.0}, ""), ({"eps": 1e-7}, ", eps=1e-07")],
)
def test_two_settings_that_follow_together(settings: dict[str, Any], shown: str) -> None:
    """An eps of 0 belongs to a total that does not start at 0: else the first step of a gradient of 0 is NaN."""
    model = bp.Model(nn.Linear(6, 2), optimizer=optim.Adagrad(**settings), like="keras")
    assert repr(model.optimizer) == f"Adagrad(lr=0.001{shown})"
    model.fit(np.zeros((4, 6)), np.ones((4, 2)), epochs=1)
    assert np.isfinite(model.net.weight).all()


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, "momentum=0.9, nesterov=True, "), ({"momentum": 0.0}, ""), ({"momentum": 0.5}, "momentum=0.5, nesterov=True, "),
        ({"nesterov": False}, "momentum=0.9, "), ({"dampening": 0.5}, "momentum=0.9, dampening=0.5, "),
    ],
)  # fmt: skip
def test_nesterov_where_it_can_be(settings: dict[str, Any], shown: str) -> None:
    model = bp.Model(nn.Linear(6, 2), optimizer=optim.SGD(**settings), like="sklearn")
    assert repr(model.optimizer) == f"SGD(lr=0.001, {shown}lr_in_velocity=True)"


def test_groups_follow_too() -> None:
    first = nn.Linear(6, 5)
    groups: Any = [{"params": first.parameters(), "eps": 1e-4}, {"params": "1"}]
    model = bp.Model(nn.Sequential(first, nn.Linear(5, 2)), optimizer=optim.Adam(groups), like="keras")
    assert [(one.eps, one.eps_hat) for one in model.optimizer.groups] == [(1e-4, True), (1e-7, True)]
    model.fit(X, np.zeros((12, 2)), epochs=1)


def test_losses_of_scikit_learn() -> None:
    assert repr(bp.Model(net(), "mse", like="sklearn").loss) == "MSELoss(reduction='half_batchmean')"
    assert repr(bp.Model(net(), nn.MSELoss(), like="sklearn").loss) == "MSELoss(reduction='half_batchmean')"
    assert repr(bp.Model(net(), nn.MSELoss("mean"), like="sklearn").loss) == "MSELoss()"
    assert repr(bp.Model(net(), lambda pred, y: (0.0, pred), like="sklearn").loss).startswith("<function")


def test_recurrent_layers_of_keras() -> None:
    """All gates of W at once, orthogonal states, a forget gate that is open."""
    model = bp.Model(nn.LSTM(6, 5, bidirectional=True), like="keras", dtype="float64")
    state = model.state_dict()
    assert np.abs(state["weight_ih_l0"]).max() <= np.sqrt(6 / (6 + 20))
    assert np.abs(state["weight_ih_l0"]).max() > 0.9 * np.sqrt(6 / (6 + 20))
    np.testing.assert_allclose(state["weight_hh_l0"].T @ state["weight_hh_l0"], np.eye(5), atol=1e-12)
    assert state["bias_ih_l0_reverse"].tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10
    assert not state["bias_hh_l0"].any()
    assert not bp.Model(nn.GRU(6, 5), like="keras").state_dict()["bias_ih_l0"].any()


def test_tables_of_keras() -> None:
    table = bp.Model(nn.Embedding(400, 5, padding_idx=0), like="keras").state_dict()["weight"]
    assert 0.049 < np.abs(table).max() <= 0.05
    assert table[0].any()
    assert repr(bp.Model(nn.Embedding(4, 5), like="sklearn").net) == "Embedding(4, 5)"


def test_slopes_and_statistics_of_ranks() -> None:
    layers = nn.PReLU(6), nn.PReLU(6, 0.5), nn.SyncBatchNorm(6)
    model = bp.Model(nn.Sequential(*layers), like="keras")
    shown = "PReLU(num_parameters=6, init=0.0), PReLU(num_parameters=6, init=0.5)"
    norm = "SyncBatchNorm(6, eps=0.001, momentum=0.01, unbiased=False)"
    assert repr(model.net) == f"Sequential({shown}, {norm})"
    first, second = [*model.state_dict().values()][:2]
    assert not first.any()
    assert (second == 0.5).all()
    assert (bp.Model(nn.PReLU(6), like="sklearn").state_dict()["weight"] == 0.25).all()


def test_tied_and_given_weights_are_not_drawn_anew() -> None:
    table = nn.Embedding.from_pretrained(np.full((7, 6), 3.0), freeze=False)
    head = nn.Linear(6, 7, bias=False)
    head.weight = table.weight
    model = bp.Model(nn.Sequential(table, head), like="keras")
    assert [name for name, _ in model.named_parameters()] == ["0.weight"]
    assert (model.parameters()[0] == 3).all()


def test_the_same_seed_gives_the_same_weights() -> None:
    one, other = (bp.Model(net(), like="keras", seed=3).state_dict() for _ in range(2))
    assert all(np.array_equal(one[key], other[key]) for key in one)
    assert np.array_equal(
        one["0.weight"], bp.Model(net(init="xavier_uniform"), seed=3).state_dict()["0.weight"]
    )


def test_files_copies_and_pickles_follow_too(tmp_path: Path) -> None:
    model = bp.Model(net(), optimizer="rmsprop", like="keras")
    model.fit(X, np.zeros((12, 2)), epochs=2)
    model.save(tmp_path / "m.safetensors")
    for again in (
        bp.load(tmp_path / "m.safetensors"),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ):
        assert (again.like, repr(again)) == ("keras", repr(model))
        again.optimizer = "adam"
        assert repr(again.optimizer) == "Adam(lr=0.001, eps=1e-07, eps_hat=True)"


def test_the_variance_of_a_batch(backend: bp.backends.Backend) -> None:
    for unbiased in (False, True):
        model = bp.Model(nn.BatchNorm1d(6, momentum=0.25, unbiased=unbiased), dtype="float64")
        model.backend = backend
        model.step(X, X)
        want = 0.75 + 0.25 * X.var(axis=0, ddof=int(unbiased))
        np.testing.assert_allclose(model.state_dict()["running_var"], want, rtol=1e-12)


def test_refused() -> None:
    with pytest.raises(ValueError, match="like is 'tf', expected None, 'torch', 'keras' or 'sklearn'"):
        bp.Model(net(), like="tf")  # type: ignore[arg-type]
    with pytest.raises(
        AttributeError,
        match=r"Model\.like is read-only; net, loss, dtype, seed and like are given to bp\.Model",
    ):
        bp.Model(net()).like = "keras"  # type: ignore[misc]


def test_a_network_of_another_model_keeps_its_settings() -> None:
    layer = nn.LayerNorm(6)
    bp.Model(layer)
    with pytest.raises(ValueError, match="already belongs to another model"):
        bp.Model(layer, like="keras")
    assert layer.eps == 1e-5


class LayerNorm(nn.Module):
    """A user's own, with the name of one of backpass."""

    def __init__(self, dim: int, init: float = 1e-5) -> None:
        super().__init__()
        self.gain = nn.Parameter(np.full(dim, init))
        self.inner = nn.Linear(dim, dim)

    def forward(self, x: Any) -> Any:
        return self.inner(x) * self.gain


def test_classes_of_the_user_keep_their_settings() -> None:
    """Names of layers and an argument `init` may mean something else in them; layers of backpass within them follow."""

    class Linear(nn.Linear):
        """What it was constructed with is an nn.Linear's."""

    class Adam(optim.SGD):
        def __init__(self, lr: float = 0.5) -> None:
            super().__init__(lr)

    class SGD(optim.SGD):
        def __init__(self, lr: float = 0.5) -> None:
            super().__init__(lr)

    class MSELoss(nn.L1Loss):
        def __init__(self) -> None:
            super().__init__()

    likes: Any = "keras", "sklearn"
    for like in likes:
        for optimizer in (SGD(), Adam()):
            own, linear = LayerNorm(6), Linear(6, 6)
            model = bp.Model(nn.Sequential(own, linear), MSELoss(), optimizer, like=like)
            assert (own.settings["init"], own.inner.init, linear.init) == (1e-5, like, like)
            assert (type(model.loss), model.optimizer, model.optimizer.lr) == (MSELoss, optimizer, 0.5)
            model.fit(X, X, epochs=1)


def test_every_row_is_of_a_class_of_backpass() -> None:
    for tables, room in (
        (conventions.LAYERS, nn),
        (conventions.LOSSES, bp.losses),
        (conventions.OPTIMIZERS, optim),
    ):
        for name, settings in ((name, s) for table in tables.values() for name, s in table.items()):
            kind: Any = getattr(room, name)
            assert {*settings} <= {*inspect.signature(kind).parameters}, name
