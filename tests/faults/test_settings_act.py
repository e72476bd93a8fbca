"""Faults of kind A: what the user sets acts at the next step, or is refused; a checkpoint knows of it.

The files of this directory go through the kinds of faults that users found, one file a kind, and through their siblings: the
same cause in another place. For the estimators tests/sklearn does that.
"""

import re
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.optim import schedules
from helpers.nets import LABELS, X, Y, small


def own_loop(model: bp.Model) -> None:
    model.backward(model.forward(X, training=True) - Y)
    model.update()


def square(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    return float(((pred - y) ** 2).mean()), 2 * (pred - y) / pred.size


ROADS: dict[str, tuple[Any, Callable[[bp.Model], Any]]] = {
    "step": ("mse", lambda model: model.step(X, Y)),
    "fit": ("mse", lambda model: model.fit(X, Y, batch_size=16)),
    "chunks": ("mse", lambda model: model.fit([(X, Y)], batch_size=16)),
    "update": ("mse", own_loop),
    "callable loss": (square, lambda model: model.step(X, Y)),
}
roads = pytest.mark.parametrize("road", ROADS)


def change(model: bp.Model, work: Callable[[bp.Model], Any]) -> float:
    """The largest change of a weight."""
    before = model.state_dict()
    work(model)
    return max(float(np.abs(value - before[key]).max()) for key, value in model.state_dict().items())


class Between(bp.Callback):
    """Does something after the first epoch."""

    def __init__(self, work: Callable[[bp.Model], Any]) -> None:
        self.work = work

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if epoch == 0:
            self.work(self.model)
            self.before = self.model.state_dict()


# ---- optimizers ------------------------------------------------------------------------------------------------------


def assign(name: str, value: Any) -> Callable[[bp.Model], None]:
    return lambda model: setattr(model.optimizer, name, value)


STILL: dict[str, Callable[[bp.Model], Any]] = {
    "lr": assign("lr", 1e-12),
    "lr, a schedule": assign("lr", schedules.step(1e-12, 10, 0.5)),
    "schedule": assign("schedule", schedules.step(1e-12, 10, 0.5)),
    "clip_grad_norm": assign("clip_grad_norm", 1e-12),
    "clip_grad_value": assign("clip_grad_value", 1e-12),
    "model.lr": lambda model: setattr(model, "lr", 1e-12),
    "another object": lambda model: setattr(model, "optimizer", optim.SGD(lr=1e-12)),
}


@roads
@pytest.mark.parametrize("setting", STILL)
def test_a_hyperparameter_acts_at_the_next_step(setting: str, road: str) -> None:
    loss, work = ROADS[road]
    model = small(loss, optimizer=optim.SGD(0.1))
    assert change(model, work) > 1e-4
    STILL[setting](model)
    assert change(model, work) < 1e-9
    if setting != "model.lr":
        assert "e-12" in repr(model)


@pytest.mark.parametrize("setting", STILL)
def test_within_a_run_too(setting: str) -> None:
    model, between = small(optimizer=optim.SGD(0.1)), Between(STILL[setting])
    model.fit(X, Y, epochs=3, callbacks=[between])
    assert all(np.allclose(v, between.before[k], atol=1e-9) for k, v in model.state_dict().items())


@roads
@pytest.mark.parametrize("name", optim.NAMES)
def test_another_optimizer_has_fresh_moments(name: str, road: str) -> None:
    """By name and as an object; the one before left moments of its own."""
    loss, work = ROADS[road]
    before = "sgd" if name != "sgd" else "adam"
    by_name, as_object = (small(loss, optimizer=before) for _ in range(2))
    for model, given in ((by_name, name), (as_object, optim.NAMES[name]())):
        work(model)
        model.optimizer = given
        assert type(model.optimizer) is optim.NAMES[name]
        for slot in model.optimizer.slots:
            assert (model.engine.optimizer_state[slot] == model.optimizer.start(slot)).all()
        assert change(model, work) > 0
    assert all(
        np.array_equal(a, b) for a, b in zip(by_name.parameters(), as_object.parameters(), strict=True)
    )


def test_a_new_momentum_starts_from_nothing() -> None:
    model = small(optimizer=optim.SGD(0.1, momentum=0.9))
    model.fit(X, Y, epochs=5)
    model.optimizer = optim.SGD(0.1, momentum=0.9)
    before = model.parameters()[0].copy()
    model.step(X, Y)
    np.testing.assert_allclose(
        before - model.parameters()[0], 0.1 * model.gradients()[0], rtol=1e-3, atol=1e-7
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sdg", "did you mean 'sgd'"), ("SGD", "did you mean 'sgd'"), (optim.Adam, r"did you mean Adam\(\)"), (None, "is None"),
        (0.1, "is 0.1"),
    ],
)  # fmt: skip
def test_what_is_no_optimizer_is_refused_when_it_is_assigned(given: Any, message: str) -> None:
    model = small()
    with pytest.raises(ValueError, match=message):
        model.optimizer = given
    assert repr(model.optimizer) == "Adam(lr=0.001)"
    assert change(model, ROADS["step"][1]) > 0


def test_a_rate_that_a_schedule_would_overwrite_is_refused() -> None:
    model = small(optimizer=optim.SGD(schedules.cosine(0.1, 10)))
    with pytest.raises(ValueError, match=r"lr is 0.5, but cosine\(0.1, .* assign model.optimizer.lr"):
        model.lr = 0.5
    model.optimizer.lr = 0.5
    model.lr = 0.25
    model.step(X, Y)
    assert model.lr == 0.25


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", -1, "SGD: lr is -1"), ("lr", "cosine", "a schedule is an object"), ("momentum", 2, "momentum is 2"),
        ("clip_grad_norm", -1, "clip_grad_norm is -1"), ("schedule", "cosine", "lr is 'cosine'"),
    ],
)  # fmt: skip
def test_a_changed_hyperparameter_is_checked(name: str, value: Any, message: str) -> None:
    model = small(optimizer=optim.SGD(0.1))
    with pytest.raises(ValueError, match=message):
        setattr(model.optimizer, name, value)
    assert repr(model.optimizer) == "SGD(lr=0.1)"


# ---- layers and losses -----------------------------------------------------------------------------------------------


def around(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), layer, nn.Linear(8, 3))


LAYERS: dict[str, tuple[Callable[[], nn.Module], str, Any]] = {
    "ELU": (nn.ELU, "alpha", 0.1), "LeakyReLU": (nn.LeakyReLU, "negative_slope", 0.9), "Softplus": (nn.Softplus, "beta", 5.0),
    "CELU": (nn.CELU, "alpha", 0.1), "Hardtanh": (nn.Hardtanh, "max_val", 0.1),
    "GELU": (nn.GELU, "approximate", "tanh"), "LayerNorm": (lambda: nn.LayerNorm(8), "eps", 0.5),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(8), "eps", 0.5),
}  # fmt: skip


@pytest.mark.parametrize(
    "within",
    [
        around,
        lambda layer: around(nn.Residual(nn.Linear(8, 8), layer)),
        lambda layer: around(nn.Sequential(layer, layer)),
    ],
    ids=["alone", "in a residual", "twice"],
)  # fmt: skip
@pytest.mark.parametrize("kind", LAYERS)
def test_a_number_of_a_layer_acts_for_every_shape_of_batch(
    kind: str, within: Callable[[nn.Module], nn.Module]
) -> None:
    make, name, value = LAYERS[kind]
    layer = make()
    model, wanted = bp.Model(within(layer)), make()
    before = model.predict(X)
    model.evaluate(X, Y)
    setattr(layer, name, value)
    setattr(wanted, name, value)
    fresh = bp.Model(within(wanted))
    assert not np.allclose(model.predict(X), before, atol=1e-6)
    assert np.array_equal(model.predict(X), fresh.predict(X))
    assert np.array_equal(model.predict(X)[:7], model.predict(X[:7]))
    assert model.evaluate(X, Y) == fresh.evaluate(X, Y)
    assert f"{value!r}" in repr(model)


TRAINING: dict[str, tuple[Callable[[], nn.Module], str, Any]] = {
    "Dropout": (nn.Dropout, "p", 0.9), "GaussianNoise": (lambda: nn.GaussianNoise(0.1), "std", 0.9),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(8), "momentum", 0.9), "MixUp": (lambda: nn.MixUp(0.2), "alpha", 2.0),
}  # fmt: skip


@pytest.mark.parametrize("kind", TRAINING)
def test_what_acts_in_training_alone(kind: str) -> None:
    make, name, value = TRAINING[kind]

    def built(layer: nn.Module) -> bp.Model:
        return bp.Model(
            nn.Sequential(layer, nn.Linear(6, 3)) if kind == "MixUp" else around(layer), optimizer="sgd"
        )

    layer, wanted = make(), make()
    model, plain = built(layer), built(make())
    start = model.state_dict()
    model.forward(X, training=True)
    model.load_state_dict(start)
    setattr(layer, name, value)
    setattr(wanted, name, value)
    fresh = built(wanted)
    for one in (model, plain, fresh):
        one.fit(X, Y, epochs=2)
    assert all(np.array_equal(v, fresh.state_dict()[k]) for k, v in model.state_dict().items())
    assert any(not np.array_equal(v, plain.state_dict()[k]) for k, v in model.state_dict().items())


LOSSES: dict[str, tuple[nn.MSELoss | Any, np.ndarray, str, Any]] = {
    "HuberLoss": (nn.HuberLoss, Y, "delta", 0.1), "SmoothL1Loss": (nn.SmoothL1Loss, Y, "beta", 0.1),
    "QuantileLoss": (nn.QuantileLoss, Y, "quantile", 0.9), "MSELoss": (nn.MSELoss, Y, "reduction", "sum"),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, LABELS, "label_smoothing", 0.5),
    "weight": (nn.CrossEntropyLoss, LABELS, "weight", [9.0, 1.0, 1.0]),
    "ignore_index": (nn.CrossEntropyLoss, LABELS, "ignore_index", 1),
    "FocalLoss": (nn.FocalLoss, np.eye(3)[LABELS], "gamma", 5.0),
}  # fmt: skip


@pytest.mark.parametrize("kind", LOSSES)
def test_a_setting_of_a_loss_acts_everywhere(kind: str) -> None:
    make, target, name, value = LOSSES[kind]
    model, fresh = small(make()), small(make(**{name: value}))
    before = model.evaluate(X, target)["loss"]
    start = model.state_dict()
    model.step(X, target)
    model.load_state_dict(start)
    setattr(model.loss, name, value)
    assert model.evaluate(X, target)["loss"] == fresh.evaluate(X, target)["loss"] != before
    assert model.step(X, target) == fresh.step(X, target)


def test_numbers_in_an_array_that_a_loss_was_made_with_cannot_change_behind_its_back() -> None:
    weight = np.ones(3)
    model = small(nn.CrossEntropyLoss(weight=weight))
    before = model.evaluate(X, LABELS)
    weight[0] = 50.0
    assert model.evaluate(X, LABELS) == before
    with pytest.raises((ValueError, TypeError), match=r"read-only|does not support item assignment"):
        model.loss.weight[0] = 50.0  # type: ignore[union-attr]


def exchanged(model: bp.Model) -> None:
    model.net[1] = nn.ReLU()


REFUSED: dict[str, tuple[Callable[[bp.Model], Any], str]] = {
    "a layer": (exchanged, "layers are fixed"),
    "layers": (lambda m: setattr(m.net, "layers", m.net.layers[:2]), "build a new network"),
    "out_features": (lambda m: setattr(m.net[0], "out_features", 9), r"out_features of Linear\(6, 8\) cannot change"),
    "bias": (lambda m: setattr(m.net[0], "bias", None), r"bias of Linear\(6, 8\) is None, expected numbers of shape \(8,\)"),
    "weight": (lambda m: setattr(m.net[0], "weight", "zeros"), r"weight of .* is 'zeros', expected numbers of shape \(8, 6\)"),
    "init": (lambda m: setattr(m.net[0], "init", "zeros"), "acts when bp.Model makes the weights"),
    "requires_grad": (lambda m: setattr(m.net[0], "requires_grad", False), r"layer.requires_grad_\(False\) freezes"),
    "trainable": (lambda m: setattr(m.net[0], "trainable", False), r"layer.requires_grad_\(False\) freezes"),
    "alfa": (lambda m: setattr(m.net[1], "alfa", 1), "Tanh has no attribute 'alfa'"),
    "delta of MSELoss": (lambda m: setattr(m.loss, "delta", 1), "MSELoss has no attribute 'delta'"),
    "reducton": (lambda m: setattr(m.loss, "reducton", "sum"), "did you mean 'reduction'"),
    "a word for reduction": (lambda m: setattr(m.loss, "reduction", "none"), "reduction is 'none'"),
    "learning_rate": (lambda m: setattr(m, "learning_rate", 0.1), "it is called lr"),
    "learning_rate of the optimizer": (lambda m: setattr(m.optimizer, "learning_rate", 0.1), "it is called lr"),
    "beta of the optimizer": (lambda m: setattr(m.optimizer, "beta", 0.1), "did you mean 'betas'"),
    "optimiser": (lambda m: setattr(m, "optimiser", "sgd"), "did you mean 'optimizer'"),
    "metrics": (lambda m: setattr(m, "metrics", "mae"), "metrics is 'mae', expected a list"),
    "net": (lambda m: setattr(m, "net", nn.Linear(6, 3)), "Model.net is read-only"),
    "loss": (lambda m: setattr(m, "loss", "mae"), "Model.loss is read-only"),
    "epoch": (lambda m: setattr(m, "epoch", 3), "Model.epoch is read-only"),
    "seed": (lambda m: setattr(m, "seed", 3), "Model.seed is read-only"),
    "dtype": (lambda m: setattr(m, "dtype", "float64"), "Model.dtype is read-only"),
    "threads": (lambda m: setattr(m, "threads", 0), "threads is 0"),
    "backend": (lambda m: setattr(m, "backend", "cuda"), "backend is 'cuda'"),
    "stop_training": (lambda m: setattr(m, "stop_training", "now"), "stop_training is 'now'"),
    "progress": (lambda m: m.fit(X, Y, progress="epoch"), "progress is 'epoch', expected True or False"),
    "verbose": (lambda m: m.fit(X, Y, verbose=3), "verbose is 3"),
    "shuffle": (lambda m: m.fit(X, Y, shuffle="batch"), "shuffle is 'batch'"),
    "drop_last": (lambda m: m.fit(X, Y, drop_last="yes"), "drop_last is 'yes'"),
    "resume": (lambda m: m.fit(X, Y, resume="auto"), "resume is 'auto'"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_act_is_refused(what: str) -> None:
    set_it, message = REFUSED[what]
    model, plain = small(), small()
    with pytest.raises((AttributeError, TypeError, ValueError), match=message):
        set_it(model)
    assert model.fit(X, Y).history == plain.fit(X, Y).history
    assert np.array_equal(model.predict(X), plain.predict(X))


def test_running_statistics_can_be_written_as_weights_can() -> None:
    model = bp.Model(nn.BatchNorm1d(6))
    model.predict(X)
    model.net.running_mean = 5.0
    model.net.running_var = np.full(6, 4.0)
    np.testing.assert_allclose(model.predict(X), (X - 5) / np.sqrt(4 + 1e-5), rtol=1e-5, atol=1e-5)
    with pytest.raises(TypeError, match=r"running_var of BatchNorm1d\(6\) is None"):
        model.net.running_var = None


# ---- callbacks -------------------------------------------------------------------------------------------------------


def test_a_changed_interval_of_checkpoints_acts(tmp_path: Path) -> None:
    checkpoint = bp.ModelCheckpoint(tmp_path / "run", keep=9)
    checkpoint.every = "3 epochs"
    small().fit(X, Y, epochs=6, callbacks=[checkpoint])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run", "run.1"]
    assert "every='3 epochs'" in repr(checkpoint)


def test_a_changed_interval_of_a_monitor_acts() -> None:
    monitor = bp.GradientMonitor()
    monitor.every = "2 steps"
    small().fit(X, Y, batch_size=10, epochs=2, callbacks=[monitor])
    assert monitor.history["step"] == [1, 2, 4, 6, 8, 10, 12, 14]


class Falling(bp.Callback):
    """A made-up quantity of which less is better, unless the mode says otherwise."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        logs["val_loss"] = -float(epoch)


@pytest.mark.parametrize(
    ("name", "value", "epochs"),
    [("patience", 3, 9), ("mode", "max", 3), ("monitor", "lr", 9), ("min_delta", 5.0, 3)],
)
def test_a_changed_setting_of_early_stopping_acts(name: str, value: Any, epochs: int) -> None:
    stopping = bp.EarlyStopping(patience=2)
    setattr(stopping, name, value)
    if name == "monitor":
        stopping.mode, stopping.patience = "min", 8
    history = small().fit(X, Y, epochs=9, callbacks=[Falling(), stopping])
    assert len(history.epoch) == epochs
    assert f"{name}={value!r}" in repr(stopping) or repr(stopping).startswith(
        f"EarlyStopping({name}={value!r}"
    )


def test_a_setting_that_changes_within_a_run_keeps_what_the_run_has_reached() -> None:
    stopping = bp.EarlyStopping(patience=99)
    found = []

    def more_patience(model: bp.Model) -> None:
        found.append((stopping.best, stopping.wait))
        stopping.patience = 3
        found.append((stopping.best, stopping.wait))

    history = small().fit(X, Y, epochs=9, callbacks=[Rising(), stopping, Between(more_patience)])
    assert found == [(0.0, 0)] * 2
    assert len(history.epoch) == 4


class Rising(bp.Callback):
    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        logs["val_loss"] = float(epoch)


@pytest.mark.parametrize(
    ("callback", "name", "value", "message"),
    [
        (bp.EarlyStopping(), "patience", -1, "patience is -1"), (bp.EarlyStopping(), "pateince", 3, "did you mean 'patience'"),
        (bp.EarlyStopping(), "mode", "most", "mode is 'most'"), (bp.ReduceLROnPlateau(), "factor", 2, "factor is 2"),
        (bp.ReduceLROnPlateau(), "facotr", 0.5, "did you mean 'factor'"),
        (bp.GradientMonitor(), "every", "often", "every is 'often'"),
        (bp.ModelCheckpoint("x"), "every", 3, "every is 3"), (bp.ModelCheckpoint("x"), "keep", 0, "keep is 0"),
        (bp.CSVLogger("x"), "apend", True, "did you mean 'append'"), (bp.ProgressBar(), "style", "bars", "style is 'bars'"),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_a_setting_of_a_callback_is_checked_when_it_changes(
    callback: Any, name: str, value: Any, message: str
) -> None:
    before = repr(callback)
    with pytest.raises((AttributeError, ValueError), match=message):
        setattr(callback, name, value)
    assert repr(callback) == before


def test_a_callback_of_ones_own_keeps_what_it_likes() -> None:
    class Mine(bp.EarlyStopping):
        def __init__(self, patience: int) -> None:
            super().__init__("loss", patience=patience)
            self.note = "a"

    mine = Mine(3)
    mine.note, mine.other, mine.patience = "b", 1, 5  # type: ignore[attr-defined]
    assert (mine.note, mine.patience) == ("b", 5)


# ---- checkpoints -----------------------------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[bp.Model], Any]] = {
    "alpha": lambda m: setattr(m.net[1], "alpha", 0.1),
    "p": lambda m: setattr(m.net[2], "p", 0.7),
    "delta": lambda m: setattr(m.loss, "delta", 0.1),
    "lr": lambda m: setattr(m.optimizer, "lr", 0.5),
    "model.lr": lambda m: setattr(m, "lr", 0.5),
    "betas": lambda m: setattr(m.optimizer, "betas", (0.5, 0.5)),
    "schedule": lambda m: setattr(m.optimizer, "schedule", schedules.cosine(0.1, 20)),
    "a name": lambda m: setattr(m, "optimizer", "lion"),
    "an object": lambda m: setattr(m, "optimizer", optim.SGD(0.1, momentum=0.9, nesterov=True)),
    "a weight": lambda m: setattr(m.net[0], "weight", 0.1),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_checkpoint_written_after_a_change_loads_without_help(what: str, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.ELU(), nn.Dropout(0.1), nn.Linear(8, 3))
    model = bp.Model(net, nn.HuberLoss())
    model.fit(X, Y)
    CHANGES[what](model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.save(tmp_path / "run")
    for other in (bp.load(tmp_path / "run"), deepcopy(model)):
        assert repr(other) == repr(model)
        assert other.lr == model.lr
        assert np.array_equal(other.predict(X), model.predict(X))
        again = deepcopy(model)
        assert other.fit(X, Y, epochs=2).history == again.fit(X, Y, epochs=2).history
        assert np.array_equal(other.predict(X), again.predict(X))


def test_what_a_file_cannot_describe_is_said_when_it_is_written(tmp_path: Path) -> None:
    """Somebody went past the settings."""
    model = small()
    vars(model.net[0])["activation"] = "relu"
    vars(model.optimizer)["scalars"] |= {"eps": 0.5}
    with pytest.warns(RuntimeWarning, match="cannot describe its optimizer") as told:
        model.save(tmp_path / "run")
    assert re.search("optimizer=", str(told[0].message))


@pytest.mark.parametrize("name", ["adam", "nadam"])
def test_another_optimizer_counts_its_own_steps(name: str) -> None:
    """The correction of a moment's bias by an old count made the first steps too long."""
    model, fresh = (small(optimizer=name) for _ in range(2))
    model.fit(X, Y, epochs=40)
    model.optimizer = name
    fresh.load_state_dict(model.state_dict())
    for one in (model, fresh):
        one.step(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True))


def test_a_schedule_that_is_over_is_told() -> None:
    """A second fit of the same length trained at a rate of 0, and nobody said so."""
    model = small(optimizer=optim.SGD(schedules.cosine(0.1, total_steps=4)))
    model.fit(X, Y, epochs=4, batch_size=70)
    with pytest.warns(UserWarning, match=r"cosine.* 0 after the 4 steps.*assign model.optimizer"):
        model.fit(X, Y, batch_size=70)
    with pytest.warns(UserWarning, match=r"cosine.* 0 after the 5 steps"):
        model.fit([(X, Y)], batch_size=70)


def test_another_optimizer_begins_its_schedule(tmp_path: Path) -> None:
    """And goes on with it after a checkpoint or a copy."""
    model = small()
    model.fit(X, Y, epochs=40)
    model.optimizer = optim.SGD(schedules.cosine(0.1, total_steps=20))
    model.step(X, Y)
    assert model.lr == pytest.approx(0.1)
    model.save(tmp_path / "model.safetensors")
    others = bp.load(tmp_path / "model.safetensors"), deepcopy(model)
    model.step(X, Y)
    assert 0 < model.lr < 0.1
    for other in others:
        other.step(X, Y)
        assert other.lr == model.lr
