"""What is wrong with a name, a number, a network or the environment is said when it is given."""

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.optim import schedules
from helpers.processes import ENVIRONMENT
from helpers.refusals import LABELS, X, Y, assert_trains, classifier, refused

# ---- unknown names and numbers out of range --------------------------------------------------------------------------


def made(**arguments: Any) -> Callable[[], Any]:
    return lambda: bp.Model(**({"net": nn.Sequential(nn.Linear(4, 3))} | arguments))


def with_loss(loss: Callable[[], Any], y: Any = LABELS) -> Callable[[], Any]:
    return lambda: classifier(loss()).fit(X, y)


NAN, INF = float("nan"), float("inf")


CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    # Model
    "net a list": (made(net=[nn.Linear(4, 3)]), ("net is list", "expected a layer")),
    "net a class": (made(net=nn.Linear), ("net is the class Linear", "expected a layer")),
    "net None": (made(net=None), ("net is NoneType", "expected a layer")),
    "loss unknown": (made(loss="msee"), ("loss is 'msee'", "'mse'", "'cross_entropy'")),
    "loss None": (made(loss=None), ("loss is None", "'mse'")),
    "loss a list": (made(loss=["mse"]), ("loss is ['mse']", "'mse'")),
    "loss a class": (made(loss=nn.MSELoss), ("loss is the class MSELoss", "MSELoss()")),
    "optimizer unknown": (made(optimizer="adamm"), ("optimizer is 'adamm'", "'adam'", "'sgd'")),
    "optimizer a class": (made(optimizer=optim.Adam), ("optimizer is <class", "expected")),
    "optimizer None": (made(optimizer=None), ("optimizer is None", "'adam'")),
    "backend unknown": (
        made(backend="jax"),
        ("backend is 'jax'", "'auto'", "'native'", "'numba'", "'numpy'"),
    ),
    "backend None": (made(backend=None), ("backend is None", "'auto'")),
    "backend a list": (made(backend=["numpy"]), ("backend is ['numpy']", "'auto'")),
    "dtype float16": (made(dtype="float16"), ("dtype is 'float16'", "'float32' or 'float64'")),
    "dtype int": (made(dtype=int), ("dtype is <class 'int'>", "'float32' or 'float64'")),
    "dtype unknown": (
        made(dtype="single precision"),
        ("dtype is 'single precision'", "'float32' or 'float64'"),
    ),
    "dtype None": (made(dtype=None), ("dtype is None", "'float32' or 'float64'")),
    "dtype swapped": (made(dtype=">f4"), ("dtype is '>f4'", "'float32' or 'float64'")),
    "threads 0": (made(threads=0), ("threads is 0", "1")),
    "threads negative": (made(threads=-1), ("threads is -1", "1")),
    "threads a float": (made(threads=1.5), ("threads is 1.5", "integer")),
    "threads True": (made(threads=True), ("threads is True", "integer")),
    "threads beyond reason": (made(threads=10**9), ("threads is 1000000000", "expected")),
    "seed negative": (made(seed=-1), ("seed is -1", "expected an integer")),
    "seed a float": (made(seed=0.0), ("seed is 0.0", "expected an integer")),
    "seed too large": (made(seed=2**63), (f"seed is {2**63}", "expected an integer")),
    "seed None": (made(seed=None), ("seed is None", "expected an integer")),
    "set_backend": (lambda: bp.set_backend("tf"), ("backend is 'tf'", "'native'")),
    # layers
    "Linear in 0": (lambda: nn.Linear(0, 3), ("Linear: in_features is 0", "at least 1")),
    "Linear in a float": (lambda: nn.Linear(4.0, 3), ("Linear: in_features is 4.0", "integer")),  # type: ignore[arg-type]
    "Linear out negative": (lambda: nn.Linear(4, -3), ("Linear: out_features is -3", "at least 1")),
    "Linear out True": (lambda: nn.Linear(4, True), ("Linear: out_features is True", "integer")),
    "Linear init": (
        lambda: nn.Linear(4, 3, init="he"),
        ("Linear: init is 'he'", "'he_normal'", "'orthogonal'"),
    ),
    "Linear init a list": (lambda: nn.Linear(4, 3, init=["zeros"]), ("Linear: init is ['zeros']",)),  # type: ignore[arg-type]
    "Dropout 1.5": (lambda: nn.Dropout(1.5), ("Dropout: p is 1.5", "[0, 1]")),
    "Dropout negative": (lambda: nn.Dropout(-0.1), ("Dropout: p is -0.1", "[0, 1]")),
    "Dropout NaN": (lambda: nn.Dropout(NAN), ("Dropout: p is nan", "[0, 1]")),
    "Dropout text": (lambda: nn.Dropout("0.5"), ("Dropout: p is '0.5'", "[0, 1]")),  # type: ignore[arg-type]
    "Dropout True": (lambda: nn.Dropout(True), ("Dropout: p is True", "number")),
    "LeakyReLU": (lambda: nn.LeakyReLU(-1), ("LeakyReLU: negative_slope is -1", "[0, 1]")),
    "ELU": (lambda: nn.ELU(-1), ("ELU: alpha is -1",)),
    "ELU inf": (lambda: nn.ELU(INF), ("ELU: alpha is inf",)),
    "Softplus": (lambda: nn.Softplus(0), ("Softplus: beta is 0",)),
    "GELU": (lambda: nn.GELU("erf"), ("GELU: approximate is 'erf'", "'none', 'tanh'")),
    "Softmax": (lambda: nn.Softmax(0), ("Softmax: dim is 0", "expected -1")),
    "LogSoftmax": (lambda: nn.LogSoftmax(2), ("LogSoftmax: dim is 2", "expected -1")),
    "BatchNorm1d features": (lambda: nn.BatchNorm1d(0), ("BatchNorm1d: num_features is 0", "at least 1")),
    "BatchNorm1d eps": (lambda: nn.BatchNorm1d(3, eps=-1), ("BatchNorm1d: eps is -1",)),
    "BatchNorm1d momentum": (
        lambda: nn.BatchNorm1d(3, momentum=1.1),
        ("BatchNorm1d: momentum is 1.1", "[0, 1]"),
    ),
    "LayerNorm 0": (lambda: nn.LayerNorm((3, 0)), ("LayerNorm: normalized_shape is 0", "at least 1")),
    "LayerNorm None": (lambda: nn.LayerNorm(None), ("LayerNorm: normalized_shape is None",)),  # type: ignore[arg-type]
    "LayerNorm nothing": (lambda: nn.LayerNorm(()), ("LayerNorm: normalized_shape is ()",)),
    "LayerNorm eps": (lambda: nn.LayerNorm(3, eps=NAN), ("LayerNorm: eps is nan",)),
    "Sequential of a list": (
        lambda: nn.Sequential([nn.ReLU()]),
        ("Sequential: layers is a list", "nn.Sequential(*layers)"),
    ),  # type: ignore[arg-type]
    "Sequential of a class": (lambda: nn.Sequential(nn.ReLU(), nn.Tanh), ("Sequential: layer 1 is",)),  # type: ignore[arg-type]
    "Residual of a number": (lambda: nn.Residual(3), ("Residual:", "3", "expected")),  # type: ignore[arg-type]
    # optimizers
    "lr text": (lambda: optim.Adam("0.1"), ("Adam: lr is '0.1'", "expected a number")),  # type: ignore[arg-type]
    "lr negative": (lambda: optim.SGD(-0.1), ("SGD: lr is -0.1", "from 0")),
    "lr NaN": (lambda: optim.SGD(NAN), ("SGD: lr is nan",)),
    "lr inf": (lambda: optim.SGD(INF), ("SGD: lr is inf",)),
    "lr True": (lambda: optim.Lion(True), ("Lion: lr is True",)),
    "SGD momentum": (lambda: optim.SGD(momentum=1.5), ("SGD: momentum is 1.5", "from 0 to 1")),
    "SGD dampening": (lambda: optim.SGD(dampening=-1), ("SGD: dampening is -1",)),
    "SGD weight_decay": (lambda: optim.SGD(weight_decay=-1), ("SGD: weight_decay is -1",)),
    "SGD nesterov": (lambda: optim.SGD(nesterov=True), ("SGD: nesterov needs a momentum",)),
    "SGD momentum text": (lambda: optim.SGD(momentum="a", nesterov=True), ("SGD: momentum is 'a'",)),  # type: ignore[arg-type]
    "Adam betas one": (lambda: optim.Adam(betas=0.9), ("Adam: betas is 0.9", "expected")),  # type: ignore[arg-type]
    "Adam betas short": (lambda: optim.Adam(betas=(0.9,)), ("Adam: betas is (0.9,)", "expected")),  # type: ignore[arg-type]
    "Adam beta 1": (lambda: optim.Adam(betas=(1.0, 0.9)), ("Adam: betas[0] is 1.0",)),
    "AdamW beta 2": (lambda: optim.AdamW(betas=(0.9, -0.1)), ("AdamW: betas[1] is -0.1",)),
    "Adam eps": (lambda: optim.Adam(eps=-1e-8), ("Adam: eps is -1e-08",)),
    "AdamW decay": (lambda: optim.AdamW(weight_decay=NAN), ("AdamW: weight_decay is nan",)),
    "NAdam momentum_decay": (lambda: optim.NAdam(momentum_decay=-1), ("NAdam: momentum_decay is -1",)),
    "NAdam betas": (lambda: optim.NAdam(betas=(0.9, 1)), ("NAdam: betas[1] is 1",)),
    "RMSprop alpha": (lambda: optim.RMSprop(alpha=2), ("RMSprop: alpha is 2", "from 0 to 1")),
    "RMSprop momentum": (lambda: optim.RMSprop(momentum=-1), ("RMSprop: momentum is -1",)),
    "Adagrad start": (
        lambda: optim.Adagrad(initial_accumulator_value=-1),
        ("Adagrad: initial_accumulator_value is -1",),
    ),
    "Adagrad lr_decay": (lambda: optim.Adagrad(lr_decay=-1), ("Adagrad: lr_decay is -1",)),
    "Adadelta rho": (lambda: optim.Adadelta(rho=1.1), ("Adadelta: rho is 1.1",)),
    "Lion betas": (lambda: optim.Lion(betas=(2, 0)), ("Lion: betas[0] is 2",)),
    "clip norm": (lambda: optim.SGD(clip_grad_norm=-1), ("SGD: clip_grad_norm is -1",)),
    "clip value": (lambda: optim.SGD(clip_grad_value=NAN), ("SGD: clip_grad_value is nan",)),
    # schedules
    "schedule lr": (lambda: schedules.cosine(-1, 10), ("lr is -1", "at least 0")),
    "schedule lr text": (lambda: schedules.cosine("a", 10), ("lr is 'a'",)),  # type: ignore[arg-type]
    "schedule lr inf": (lambda: schedules.cosine(INF, 10), ("lr is inf",)),
    "schedule total": (lambda: schedules.cosine(0.1, 0), ("total_steps is 0", "at least 1")),
    "schedule end": (lambda: schedules.cosine(0.1, 10, end=NAN), ("end is nan",)),
    "schedule end text": (lambda: schedules.cosine(0.1, 10, end="x"), ("end is 'x'",)),  # type: ignore[arg-type]
    "schedule every": (lambda: schedules.step(0.1, 0, 0.5), ("every is 0", "at least 1")),
    "schedule every float": (lambda: schedules.step(0.1, 1.5, 0.5), ("every is 1.5", "integer")),  # type: ignore[arg-type]
    "schedule factor": (lambda: schedules.step(0.1, 3, -1), ("factor is -1",)),
    "schedule factor text": (lambda: schedules.step(0.1, 3, "x"), ("factor is 'x'",)),  # type: ignore[arg-type]
    "schedule exponential": (lambda: schedules.exponential(0.1, 3, NAN), ("factor is nan",)),
    "schedule warmup": (
        lambda: schedules.warmup_cosine(0.1, 11, 10),
        ("warmup_steps is 11", "total_steps = 10"),
    ),
    "schedule one_cycle": (lambda: schedules.one_cycle(0.1, 2), ("total_steps is 2", "at least 4")),
    "schedule piecewise step": (lambda: schedules.piecewise(0.1, {-1: 0.5}), ("step is -1", "at least 0")),
    "schedule piecewise factor": (lambda: schedules.piecewise(0.1, {1: "x"}), ("factor", "'x'")),  # type: ignore[dict-item]
    "schedule piecewise list": (lambda: schedules.piecewise(0.1, [1]), ("factors is [1]",)),  # type: ignore[arg-type]
    "schedule constant": (lambda: schedules.constant(-1), ("lr is -1",)),
    # losses
    "reduction": (lambda: nn.MSELoss("none"), ("MSELoss: reduction is 'none'", "'mean', 'sum', 'half'")),
    "reduction of others": (lambda: nn.L1Loss("half"), ("L1Loss: reduction is 'half'", "'mean', 'sum'")),
    "label_smoothing": (
        lambda: nn.CrossEntropyLoss(label_smoothing=2),
        ("CrossEntropyLoss: label_smoothing is 2",),
    ),
    "label_smoothing text": (
        lambda: nn.CrossEntropyLoss(label_smoothing="a"),  # type: ignore[arg-type]
        ("CrossEntropyLoss: label_smoothing is 'a'",),
    ),
    "ignore_index": (
        lambda: nn.CrossEntropyLoss(ignore_index="a"),
        ("CrossEntropyLoss: ignore_index is 'a'",),
    ),  # type: ignore[arg-type]
    "weight text": (lambda: nn.CrossEntropyLoss(weight="ab"), ("CrossEntropyLoss: weight",)),
    "weight shape": (
        with_loss(lambda: nn.CrossEntropyLoss(weight=[1, 2])),
        ("weight has shape (2,)", "(3,)"),
    ),
    "weight negative": (
        with_loss(lambda: nn.CrossEntropyLoss(weight=[-1, 2, 3])),
        ("CrossEntropyLoss: weight",),
    ),
    "weight NaN": (with_loss(lambda: nn.NLLLoss(weight=[NAN, 2, 3])), ("NLLLoss: weight",)),
    "delta": (lambda: nn.HuberLoss(delta=0), ("HuberLoss: delta is 0", "above 0")),
    "delta text": (lambda: nn.HuberLoss(delta="a"), ("HuberLoss: delta is 'a'",)),  # type: ignore[arg-type]
    "beta": (lambda: nn.SmoothL1Loss(beta=-1), ("SmoothL1Loss: beta is -1", "above 0")),
    "pos_weight": (
        lambda: nn.BCEWithLogitsLoss(pos_weight=0),
        ("BCEWithLogitsLoss: pos_weight is 0", "above 0"),
    ),
    "eps": (lambda: nn.PoissonNLLLoss(eps=0), ("PoissonNLLLoss: eps is 0", "above 0")),
    "eps of the variance": (lambda: nn.GaussianNLLLoss(eps=-1), ("GaussianNLLLoss: eps is -1", "above 0")),
    "quantile": (lambda: nn.QuantileLoss(1), ("QuantileLoss: quantile is 1", "between 0 and 1")),
    "quantile text": (lambda: nn.QuantileLoss("a"), ("QuantileLoss: quantile is 'a'",)),  # type: ignore[arg-type]
    "margin": (lambda: nn.HingeLoss(margin=NAN), ("HingeLoss: margin is nan",)),
    # callbacks
    "patience": (lambda: bp.EarlyStopping(patience=-1), ("EarlyStopping: patience is -1",)),
    "patience text": (lambda: bp.EarlyStopping(patience="x"), ("EarlyStopping: patience is 'x'",)),  # type: ignore[arg-type]
    "factor": (lambda: bp.ReduceLROnPlateau(factor=2), ("ReduceLROnPlateau: factor is 2", "between 0 and 1")),
}


@pytest.mark.parametrize("what", CONSTRUCTIONS)
def test_constructions(what: str) -> None:
    make, parts = CONSTRUCTIONS[what]
    with refused(*parts):
        make()


# ---- networks that do not fit together -------------------------------------------------------------------------------


def test_layers_that_do_not_fit() -> None:
    def refuse(net: nn.Layer, *parts: str) -> None:
        model = bp.Model(net)
        with refused("X does not fit the network", *parts, model=model):
            model.fit(X, Y)

    refuse(nn.Sequential(nn.Linear(4, 8), nn.Linear(9, 3)), "Linear(9, 3)", "8", "expected 9 features")
    refuse(nn.Residual(nn.Linear(4, 3)), "Residual", "(4,)", "(3,)", "same shape")
    refuse(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(3)), "BatchNorm1d(3)", "(batch, 8)", "(batch, 3)")
    refuse(nn.Sequential(nn.Linear(4, 8), nn.LayerNorm((2, 4))), "LayerNorm((2, 4))", "(batch, 8)", "(2, 4)")
    model = bp.Model(nn.Sequential(nn.Softmax(1), nn.Linear(4, 3)))
    with refused("X does not fit the network", "dim is 1", "3 dimensions", model=model):
        model.predict(np.zeros((5, 2, 4), np.float32))


def test_batch_norm_of_one_row() -> None:
    model = bp.Model(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    with refused("BatchNorm1d(3)", "batch", "one value per channel", "batch_size", model=model):
        model.fit(X, Y, batch_size=1)
    with refused("BatchNorm1d(3)", "batch", "one value per channel", model=model):
        model.fit(X[:9], Y[:9], batch_size=8)  # the last batch; found before the first one
    with refused("BatchNorm1d(3)", model=model):
        model.step(X[:1], Y[:1])
    assert model.predict(X[:1]).shape == (1, 3)
    assert_trains(model, Y)


def test_a_layer_belongs_to_one_model() -> None:
    shared, other = nn.Linear(4, 4), nn.Linear(4, 4)
    first = bp.Model(nn.Sequential(shared, nn.Linear(4, 3)))
    with refused("net", "Linear(4, 4)", "already belongs to another model", "deepcopy", model=first):
        bp.Model(nn.Sequential(other, shared))
    second = bp.Model(
        nn.Sequential(other, deepcopy(shared), nn.Linear(4, 3))
    )  # the failure has not used `other` up
    assert_trains(second, Y)
    assert_trains(first, Y)


def test_a_loss_of_ones_own_that_is_wrong() -> None:
    def model(loss: Any) -> bp.Model:
        return bp.Model(nn.Sequential(nn.Linear(4, 3)), loss)

    for loss, parts in (
        (lambda p, y: 1.0, ("returned float", "(value, gradient)")),
        (lambda p, y: (1.0, p[:, 0]), ("gradient of shape", "like pred")),
        (lambda p, y: (p, p), ("an array of shape", "one number")),
        (lambda p, y: (None, p), ("None", "one number")),
        (lambda p, y: (1.0, p.astype(str)), ("gradient of dtype <U", "numbers")),
    ):
        made = model(loss)
        with refused(*parts, model=made):
            made.fit(X, Y)
    with refused("y", "rows"):
        model(lambda p, y: (1.0, p)).fit(X, Y[:3])


# ---- environment -----------------------------------------------------------------------------------------------------


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_environment_backend() -> None:
    done = run("import backpass as bp; bp.get_backend()", BACKPASS_BACKEND="cuda")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "ValueError" in last
    assert "BACKPASS_BACKEND" in last, "the message does not say where the name came from"
    assert "'cuda'" in last
    assert "'numpy'" in last
    done = run("import backpass as bp; print(bp.get_backend().name)", BACKPASS_BACKEND="numpy")
    assert done.stdout.strip() == "numpy", done.stderr


def test_environment_isa() -> None:
    if "native" not in bp.available_backends():
        pytest.skip("the native backend is not there")
    done = run("import backpass as bp; bp.get_backend('native')", BACKPASS_ISA="sse9")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "BACKPASS_ISA is 'sse9'" in last
    assert "baseline" in last or "neon" in last
    done = run("import backpass as bp; print(bp.get_backend('native').isa)", BACKPASS_ISA="baseline")
    assert done.stdout.strip() == "baseline", done.stderr
