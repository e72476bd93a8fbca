"""Faults of kind E: what errors, warnings, reprs and completion say. `demo --out` is in tests/cli/test_commands.py."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend, choice
from backpass.described import Described
from backpass.optim import schedules
from helpers.nets import LABELS, X, Y, small

# ---- reprs -----------------------------------------------------------------------------------------------------------

SHOWN: list[Any] = [
    optim.SGD(lr=0.1, momentum=0.9, nesterov=True), optim.SGD(0.1, dampening=0.1, momentum=0.5, clip_grad_norm=1.0),
    optim.Adam(betas=(0.8, 0.9), amsgrad=True), optim.AdamW(weight_decay=0.1),
    optim.RMSprop(centered=True), optim.Lion(clip_grad_value=0.1),
    optim.Adagrad(lr_decay=0.1), optim.Adadelta(rho=0.5), optim.NAdam(momentum_decay=0.1),
    optim.SGD(schedules.one_cycle(0.1, total_steps=10)), optim.Adam(schedules.piecewise(0.5, {8: 0.5})),
    nn.HuberLoss(delta=0.5), nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=3), nn.QuantileLoss(quantile=0.9),
    nn.FocalLoss(gamma=3.0), nn.MSELoss(reduction="sum"), nn.CrossEntropyLoss(weight=[1.0, 2.0]),
    nn.PoissonNLLLoss(log_input=False),
    nn.Linear(2, 3, bias=False), nn.Linear(2, 3, init="zeros"), nn.Dropout(0.2), nn.BatchNorm1d(3, momentum=None, affine=False),
    nn.LayerNorm((3,), eps=0.1), nn.GELU("tanh"), nn.ELU(0.5), nn.LeakyReLU(0.3), nn.Softplus(beta=2.0), nn.MixUp(0.3),
    nn.Hardtanh(-2.0, 0.5), nn.CELU(0.3),
    nn.Flatten(2),
    nn.Sequential(nn.Linear(2, 3), nn.Residual(nn.Linear(3, 3), nn.Tanh())), nn.GaussianNoise(0.3),
    nn.RandomShift(2), nn.Cutout(3),
    bp.EarlyStopping("loss", patience=3, mode="min"), bp.ReduceLROnPlateau(factor=0.5, cooldown=3, min_lr=0.1),
    bp.ModelCheckpoint("run", every="5 s", keep=3), bp.CSVLogger("log", append=True),
    bp.GradientMonitor("1 step"), bp.ProgressBar("lines"),
    schedules.warmup_cosine(0.1, 5, 50),
]  # fmt: skip


@pytest.mark.parametrize("made", SHOWN, ids=repr)
def test_a_repr_makes_the_same_object(made: Any) -> None:
    names = vars(nn) | vars(optim) | vars(schedules) | vars(bp)
    again = eval(repr(made), names)
    assert repr(again) == repr(made)
    assert type(again) is type(made)
    if isinstance(made, Described):
        for name, value in made.settings.items():
            assert repr(again.settings[name]) == repr(value), name
    assert repr(made) != f"{type(made).__name__}()"


# ---- names of other libraries, and of the fingers --------------------------------------------------------------------

HINTS: dict[str, tuple[Callable[[], Any], str]] = {
    "Adam": (lambda: small(optimizer="Adam"), "did you mean 'adam'"),
    "rms_prop": (lambda: small(optimizer="rms_prop"), "did you mean 'rmsprop'"),
    "crossentropy": (lambda: small("crossentropy"), "did you mean 'cross_entropy'"),
    "binary_crossentropy": (lambda: small("binary_crossentropy"), "did you mean 'bce_with_logits', whose network ends without"),
    "categorical_crossentropy": (lambda: small("categorical_crossentropy"), "did you mean 'cross_entropy', whose network ends"),
    "mean_squared_error": (lambda: small("mean_squared_error"), "did you mean 'mse'"),
    "MSE": (lambda: small("MSE"), "did you mean 'mse'"),
    "a loss class": (lambda: small(nn.MSELoss), r"loss is the class MSELoss, expected an object such as MSELoss\(\)"),
    "natve": (lambda: small(backend="natve"), "did you mean 'native'"),
    "nn.Dense": (lambda: nn.Dense, r"here it is nn.Linear\(in_features"),
    "nn.Relu": (lambda: nn.Relu, "did you mean 'ReLU'"),
    "nn.BCELoss": (lambda: nn.BCELoss, "nn.BCEWithLogitsLoss"),
    "losses.CrossEntropy": (lambda: bp.losses.CrossEntropy, "did you mean 'CrossEntropyLoss'"),
    "optim.RMSProp": (lambda: optim.RMSProp, "here it is optim.RMSprop"),
    "optim.lr_scheduler": (lambda: optim.lr_scheduler, "here it is optim.schedules"),
    "StepLR": (lambda: schedules.StepLR, "here it is optim.schedules.step"),
    "callbacks.EarlyStop": (lambda: bp.callbacks.EarlyStop, "did you mean 'EarlyStopping'"),
    "callbacks.LearningRateScheduler": (lambda: bp.callbacks.LearningRateScheduler, "a schedule, as in"),
    "bp.Sequential": (lambda: bp.Sequential, "here it is bp.nn.Sequential"),
    "bp.Modle": (lambda: bp.Modle, "did you mean 'Model'"),
    "bp.load_model": (lambda: bp.load_model, r"here it is bp.load\(path\)"),
    "Linear(activation=)": (lambda: nn.Linear(2, 3, activation="relu"), r"'activation': put .* nn.ReLU\(\) behind it"),
    "Linear(units=)": (lambda: nn.Linear(units=3), "no argument 'units': give in_features and out_features"),
    "Dropout(rate=)": (lambda: nn.Dropout(rate=0.3), "no argument 'rate': it is called p"),
    "Sequential([])": (lambda: nn.Sequential([nn.ReLU()]), r"layers is a list, expected .*nn.Sequential\(\*layers\)"),
    "Sequential(ReLU)": (lambda: nn.Sequential(nn.ReLU), "layer 0 is the class ReLU"),
    "Adam(parameters)": (lambda: optim.Adam(small().parameters(), lr=0.1), r"the parameters are those of the model: bp.Model\("),
    "SGD(generator)": (lambda: optim.SGD(iter([])), "the parameters are those of the model"),
    "Adam(lr='cosine')": (lambda: optim.Adam(lr="cosine"), "a schedule is an object, such as"),
    "Adam(learning_rate=)": (lambda: optim.Adam(learning_rate=0.1), "no argument 'learning_rate': it is called lr"),
    "Adam(params=)": (lambda: optim.Adam(params=[]), "no argument 'params': the parameters are the model's"),
    "zero_grad": (lambda: optim.Adam().zero_grad(), "no attribute 'zero_grad': model.backward overwrites the gradients"),
    "optimizer.step": (lambda: optim.Adam().step(), r"no attribute 'step': it is model.update\(\)"),
    "Adam(momentum=)": (lambda: optim.Adam(momentum=0.1), "no argument 'momentum'; expected .*'betas'"),
    "Model(metrics=)": (lambda: small(metrics=["acc"]), r"metrics\[0\] is 'acc'.*here it is 'accuracy'"),
    "Model(lr=)": (lambda: small(lr=0.1), r"Model has no argument 'lr': .*optim.Adam\(lr="),
    "Model(device=)": (lambda: small(device="cuda"), "Model has no argument 'device': backpass trains on the CPU"),
    "Model(optimiser=)": (lambda: small(optimiser="sgd"), "did you mean 'optimizer'"),
    "Model()": (lambda: bp.Model(), r"missing .*'net'; expected Model\(net, loss='mse'"),
    "fit(verbose=)": (lambda: small().fit(X, Y, verbose="lines"), "verbose is 'lines', expected 0"),
    "fit(metrics=)": (lambda: small().fit(X, Y, metrics=["acc"]), r"fit\(\) has no argument 'metrics': give it to bp.Model"),
    "fit(epoch=)": (lambda: small().fit(X, Y, epoch=3), "did you mean 'epochs'"),
    "fit(nb_epoch=)": (lambda: small().fit(X, Y, n_epochs=3), "did you mean 'epochs'"),
    "fit(validation=)": (lambda: small().fit(X, Y, validation=(X, Y)), "did you mean 'validation_data'"),
    "fit(steps_per_epoch=)": (lambda: small().fit(X, Y, steps_per_epoch=3), "an epoch takes every row once"),
    "fit(X, y, 32, 5)": (lambda: small().fit(X, Y, 32, 5), r"fit\(\) has 4 arguments without a name, .* 2 \(X, y\)"),
    "fit()": (lambda: small().fit(), r"fit\(\): missing .*'X'"),
    "evaluate(batch_size=)": (lambda: small().evaluate(X, Y, batch_size=3), r"evaluate\(\) has no argument 'batch_size'"),
    "EarlyStopping(5)": (lambda: bp.EarlyStopping(5), "monitor is 5, expected a name"),
    "EarlyStopping(restore_best_weights=)": (lambda: bp.EarlyStopping(restore_best_weights=True), "did you mean 'restore_best'"),
    "ModelCheckpoint(filepath=)": (lambda: bp.ModelCheckpoint(filepath="x"), "no argument 'filepath': it is called path"),
    "ModelCheckpoint(save_best_only=)": (lambda: bp.ModelCheckpoint("x", save_best_only=True), "give monitor="),
    "model.train": (lambda: small().train(), "model.fit trains"),
    "model.eval": (lambda: small().eval(), "model.predict and model.evaluate"),
    "model.compile": (lambda: small().compile(), "a Model needs none"),
    "model.predictions": (lambda: small().predictions, "did you mean 'predict'"),
    "layer.state_dict": (lambda: nn.Linear(2, 3).state_dict(), r"model.state_dict\(\)"),
    "layer.wieght": (lambda: nn.Linear(2, 3).wieght, "did you mean 'weight'"),
}  # fmt: skip


@pytest.mark.parametrize("what", HINTS)
def test_a_wrong_name_is_told_the_right_one(what: str) -> None:
    call, message = HINTS[what]
    with pytest.raises((AttributeError, TypeError, ValueError), match=message) as error:
        call()
    assert not any(word in str(error.value) for word in INTERNAL)


def test_names_that_python_asks_for_get_no_advice() -> None:
    for module in (bp, nn, optim, bp.losses, bp.callbacks):
        assert not hasattr(module, "__wrapped__")


def test_a_moment_that_is_never_called() -> None:
    with pytest.warns(UserWarning, match="Mine.on_epoch_ends is never called; did you mean 'on_epoch_end'"):
        type("Mine", (bp.Callback,), {"on_epoch_ends": lambda self: None})
    with pytest.warns(
        UserWarning, match="Mine.on_batch_end is never called; did you mean 'on_train_batch_end'"
    ):
        type("Mine", (bp.Callback,), {"on_batch_end": lambda self: None})


# ---- files -----------------------------------------------------------------------------------------------------------

INTERNAL = (
    "__init__",
    "Engine",
    "Passes",
    "ModelState",
    "FitOptions",
    "PlanCache",
    "_core",
    "NoneType' object",
)


@pytest.mark.parametrize("name", ["missing", "a/b/c", "missing.safetensors"])
def test_a_missing_file_is_a_file_not_found_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"{name} does not exist") as error:
        bp.load(tmp_path / name)
    assert isinstance(error.value, bp.CheckpointError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "sgd"}, r"holds the moments \['m', 'v'\], but optimizer is SGD.*then assign model.optimizer"),
        ({"optimizer": optim.RMSprop()}, "holds the moments .*but optimizer is RMSprop"),
        ({"optimizer": "Adam"}, "did you mean 'adam'"), ({"loss": "crossentropy"}, "did you mean 'cross_entropy'"),
        ({"net": nn.Linear(6, 3)}, "run does not fit net: model.weight is missing"),
        ({"net": nn.Sequential(nn.Linear(6, 9))}, r"does not fit net: model.0.weight is float32 \(8, 6\), expected"),
        ({"net": nn.Sequential(nn.Linear(6, 8))}, "does not fit net: it holds 'model.2.bias', which this model does not have"),
        ({"net": nn.Linear}, "net is the class Linear"),
        ({"backend": "cuda"}, "backend is 'cuda'"), ({"threads": 0}, "threads is 0"),
    ],
)  # fmt: skip
def test_what_does_not_belong_to_a_file_is_named(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = small()
    model.step(X, Y)
    model.save(tmp_path / "run")
    with pytest.raises((bp.CheckpointError, TypeError, ValueError), match=message) as error:
        bp.load(tmp_path / "run", **options)
    assert "does not describe a model" not in str(error.value)
    assert not any(word in str(error.value) for word in INTERNAL)


@pytest.mark.parametrize("given", [None, 3, b"run", ["run"]])
def test_a_path_is_a_path(given: Any) -> None:
    for call in (bp.load, small().save, bp.CSVLogger, bp.ModelCheckpoint):
        with pytest.raises(TypeError, match=r"path is .*, expected a str or a path"):
            call(given)


# ---- steps that cannot be made ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["0", "2"])
@pytest.mark.parametrize("value", [np.nan, 1e38], ids=["NaN", "overflow"])
@pytest.mark.parametrize("road", ["fit", "step", "update", "chunks", "callable loss"])
def test_a_divergence_names_step_and_layer(road: str, value: float, layer: str) -> None:
    def square(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        return float(((pred - y) ** 2).mean()), 2 * (pred - y)

    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    model = bp.Model(net, square if road == "callable loss" else "mse")
    model.step(X, Y)
    net[int(layer)].weight[...] = value
    roads: dict[str, Callable[..., Any]] = {
        "fit": model.fit, "step": model.step, "chunks": lambda x, y: model.fit([(x, y)]), "callable loss": model.fit,
        "update": lambda x, y: (model.backward(model.forward(x, training=True) - y), model.update()),
    }  # fmt: skip
    with pytest.raises(bp.NonFiniteError, match=rf"step 1: .*layer {layer} \(Linear") as error:
        roads[road](10 * X, Y)
    assert (error.value.step, error.value.layer) == (1, layer)


def test_an_update_needs_a_backward_of_its_own() -> None:
    model = small()
    before = model.state_dict()
    for prepare in (lambda: None, lambda: model.forward(X, training=True), lambda: model.predict(X)):
        prepare()
        with pytest.raises(RuntimeError, match=r"update\(\) needs a backward\(dout\) before it"):
            model.update()
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
    model.backward(model.forward(X, training=True))
    model.update()
    with pytest.raises(RuntimeError, match=r"update\(\) needs a backward\(dout\)"):
        model.update()
    with pytest.raises(RuntimeError, match="score needs to know"):
        small(lambda pred, y: (0.0, pred)).score(X, Y)
    with pytest.raises(RuntimeError, match=r"which is not one of classes: predict\(X\)"):
        small().predict_proba(X)


# ---- what is legal and a mistake -------------------------------------------------------------------------------------


def ending(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 3), *layers)


MISTAKES: dict[str, tuple[Callable[[], nn.Module], Any, str]] = {
    "softmax": (lambda: ending(nn.Softmax()), "cross_entropy", r"takes the output before Softmax\(\)"),
    "sigmoid": (lambda: ending(nn.Sigmoid()), "bce_with_logits", r"takes the output before Sigmoid\(\)"),
    "sigmoid before cross entropy": (lambda: ending(nn.Sigmoid()), "cross_entropy", r"before Sigmoid\(\)"),
    "softmax before focal": (lambda: ending(nn.Softmax()), nn.FocalLoss(), r"FocalLoss takes the output before Softmax"),
    "within": (lambda: ending(nn.Sequential(nn.ReLU(), nn.Softmax())), "cross_entropy", "before Softmax"),
    "within a residual": (lambda: ending(nn.Residual(nn.Linear(3, 3), nn.Sigmoid())), "bce_with_logits", "before Sigmoid"),
    "alone": (nn.Softmax, "cross_entropy", "before Softmax"),
    "no log softmax": (ending, "nll", r"takes log probabilities, .* ends with Linear\(6, 3\): add nn.LogSoftmax\(\)"),
    "softmax before nll": (lambda: ending(nn.Softmax()), "nll", r"ends with Softmax\(\): add nn.LogSoftmax"),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_a_network_that_ends_with_what_its_loss_does_is_warned_of_once(what: str) -> None:
    make, loss, message = MISTAKES[what]
    with pytest.warns(UserWarning, match=message) as told:
        bp.Model(make(), loss)
    assert len(told) == 1
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("net", "loss"),
    [
        (lambda: ending(nn.LogSoftmax()), "nll"), (ending, "cross_entropy"), (lambda: ending(nn.Sigmoid()), "mse"),
        (lambda: ending(nn.Softmax()), "mae"), (lambda: ending(nn.Sigmoid(), nn.Linear(3, 3)), "cross_entropy"),
        (lambda: ending(nn.Softplus()), "poisson"), (lambda: ending(nn.Softmax()), lambda pred, y: (0.0, pred)),
    ],
)  # fmt: skip
def test_what_is_no_mistake_is_not_warned_of(net: Callable[[], nn.Module], loss: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.Model(net(), loss)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", nn.QuantileLoss()])
@pytest.mark.parametrize(
    "target", [Y * 1e6 + 1e6, Y * 0 - 1e6, np.where(np.arange(210).reshape(70, 3) == 5, 1e7, 0.0)]
)
def test_targets_far_from_one_are_told_to_be_scaled(target: np.ndarray, loss: Any) -> None:
    with pytest.warns(
        UserWarning, match=r"y reaches .*e\+0\d.*train on \(y - y.mean\(\)\) / y.std\(\)"
    ) as told:
        small(loss).fit(X, target, epochs=2)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(loss).fit(X, target / 1e3)


# ---- completion ------------------------------------------------------------------------------------------------------


def offered(value: Any) -> list[str]:
    return [name for name in dir(value) if not name.startswith("_")]


@pytest.mark.parametrize(
    "module", [bp, nn, optim, schedules, bp.losses, bp.callbacks], ids=lambda m: m.__name__
)
def test_a_module_offers_what_is_public(module: ModuleType) -> None:
    public = [name for name in module.__all__ if not name.startswith("_")]
    assert sorted(offered(module)) == sorted(public)
    assert all(hasattr(module, name) for name in public)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (bp, {"load", "Model", "show_config", "gradcheck", "EarlyStopping"}),
        (nn.Linear(2, 3), {"weight", "bias", "in_features"}),
        (nn.Linear(2, 3, bias=False), {"weight"}), (nn.BatchNorm1d(3), {"weight", "running_mean", "running_var", "momentum"}),
        (nn.Dropout(), {"p"}), (optim.Adam(), {"lr", "betas", "clip_grad_norm", "schedule"}),
        (nn.CrossEntropyLoss(), {"label_smoothing", "weight", "ignore_index"}),
        (bp.EarlyStopping(), {"patience", "best", "monitor"}),
        (small(), {"fit", "predict", "lr", "optimizer", "net", "save"}), (bp.History(), {"history", "epoch", "plot"}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_completion_has_what_users_want(value: Any, names: set[str]) -> None:
    assert names <= set(offered(value))


def test_a_model_offers_few_names() -> None:
    assert len(offered(small())) <= 37
    assert {"flat", "plans", "step_count", "last_run", "programs", "usage"}.isdisjoint(offered(small()))


@pytest.mark.parametrize("part", [slice(2), slice(1, None), slice(None), slice(-1), slice(0, 3, 2)], ids=str)
def test_a_slice_of_a_network_is_a_network(part: slice) -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    cut = net[part]
    assert isinstance(cut, nn.Sequential)
    assert cut.layers == net.layers[part]
    assert len(net) == 3
    assert net[-1] is net.layers[2]


@pytest.mark.parametrize(("given", "read"), [(None, bp.get_num_threads()), (1, 1), (3, 3)])
def test_threads_reads_what_is_used(given: int | None, read: int) -> None:
    model = small(threads=given)
    assert model.threads == read
    model.threads = 2
    assert model.threads == 2
    model.threads = None
    assert model.threads == bp.get_num_threads()


# ---- a slower backend ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [["native"], ["native", "numba"]], ids=["native", "both"])
def test_a_slower_backend_is_told_once(missing: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    works: dict[str, Backend] = {
        name: bp.get_backend(name) for name in bp.available_backends() if name not in missing
    }
    monkeypatch.setattr(choice, "_made", works)
    monkeypatch.setattr(choice, "_missing", dict.fromkeys(set(choice.KNOWN) - {*works}, "no such file"))
    monkeypatch.setattr(choice, "_warned", False)
    monkeypatch.delenv("BACKPASS_BACKEND", raising=False)
    with pytest.warns(
        RuntimeWarning,
        match=rf"native backend does not work here \(no such file\), .* runs on {next(iter(works))}.*doctor",
    ) as told:
        models = [bp.Model(ending()), bp.Model(ending())]
    assert len(told) == 1
    assert told[0].filename == __file__
    assert models[0].backend.name == next(iter(works))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(backend="numpy")
    with pytest.raises(
        RuntimeError, match="the native backend does not work here: no such file; to get it: install a C"
    ):
        small(backend="native")


def test_numbers_are_said_as_they_are() -> None:
    """No float of NumPy's and no repr of an array where a number is meant."""
    model = small("cross_entropy")
    history = model.fit(X, LABELS, validation_data=(X, LABELS))
    assert "np." not in repr(history)
    assert "np." not in repr(history.history)
    assert "np." not in repr(model.evaluate(X, LABELS))
    assert math.isfinite(model.lr)
    assert "np." not in repr(model.lr) + repr(model.step(X, LABELS)) + repr(model.score(X, LABELS))
