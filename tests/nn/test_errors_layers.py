"""What is wrong with a layer, or between layers, is said."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.nets import X, Y
from helpers.refusals import assert_trains, refused

NAN, INF = float("nan"), float("inf")


CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
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
    "PReLU": (lambda: nn.PReLU(0), ("PReLU: num_parameters is 0", "at least 1")),
    "PReLU init": (lambda: nn.PReLU(2, NAN), ("PReLU: init is nan",)),
    "Unflatten 0": (lambda: nn.Unflatten(0, (2, 3)), ("Unflatten: dim is 0", "the batch")),
    "Unflatten size": (lambda: nn.Unflatten(1, 6), ("Unflatten: unflattened_size is 6", "tuple of sizes")),  # type: ignore[arg-type]
    "Unflatten nothing": (lambda: nn.Unflatten(1, ()), ("Unflatten: unflattened_size is ()",)),
    "Unflatten two left": (
        lambda: nn.Unflatten(1, (-1, -1)),
        ("unflattened_size is (-1, -1)", "one may be -1"),
    ),
    "Unflatten 0 of a size": (lambda: nn.Unflatten(1, (0, 3)), ("unflattened_size is (0, 3)",)),
    "SyncBatchNorm": (lambda: nn.SyncBatchNorm(0), ("SyncBatchNorm: num_features is 0", "at least 1")),
    "CELU": (lambda: nn.CELU(0), ("CELU: alpha is 0", "1e-06")),
    "Hardtanh": (lambda: nn.Hardtanh(2, -1), ("Hardtanh: max_val is -1", "above min_val, 2")),
    "ReLU6": (lambda: nn.ReLU6("yes"), ("ReLU6: inplace is 'yes'",)),  # type: ignore[arg-type]
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
    "BatchNorm2d features": (lambda: nn.BatchNorm2d(0), ("BatchNorm2d: num_features is 0", "at least 1")),
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
    "Residual, shortcut": (
        lambda: nn.Residual(nn.ReLU(), shortcut="conv"),  # type: ignore[arg-type]
        ("Residual: shortcut is 'conv'", "layer"),
    ),
    "Residual, None": (lambda: nn.Residual(None), ("Residual: inner is None", "layer")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", CONSTRUCTIONS)
def test_constructions(what: str) -> None:
    make, parts = CONSTRUCTIONS[what]
    with refused(*parts):
        make()


def test_layers_that_do_not_fit() -> None:
    def refuse(net: nn.Module, *parts: str) -> None:
        model = bp.Model(net)
        with refused("X does not fit the network", *parts, model=model):
            model.fit(X, Y)

    refuse(nn.Sequential(nn.Linear(6, 8), nn.Linear(9, 3)), "Linear(9, 3)", "8", "expected 9 features")
    refuse(nn.Residual(nn.Linear(6, 3)), "Residual", "(6,)", "(3,)", "same shape", "shortcut=")
    refuse(
        nn.Residual(nn.Linear(6, 3), shortcut=nn.Linear(6, 4)),
        "Residual",
        "(6,) into (3,)",
        "shortcut= into (4,)",
    )
    refuse(nn.BatchNorm2d(6), "BatchNorm2d(6)", "(batch, 6)", "expected (batch, 6, height, width)")
    refuse(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(3)), "BatchNorm1d(3)", "(batch, 8)", "(batch, 3)")
    refuse(nn.Sequential(nn.Linear(6, 8), nn.LayerNorm((2, 4))), "LayerNorm((2, 4))", "(batch, 8)", "(2, 4)")
    refuse(nn.PReLU(3), "PReLU(num_parameters=3)", "(batch, 6)", "expected (batch, 3, ...)")
    for dim, sizes in ((2, (6,)), (-2, (6,)), (1, (4, 2)), (1, (4, -1)), (1, (3,)), (1, (7, -1))):
        layer = nn.Unflatten(dim, sizes)
        refuse(layer, repr(layer), "(batch, 6)", f"dimension {dim} to be of the sizes {sizes}")
    refuse(
        nn.SyncBatchNorm(3),
        "SyncBatchNorm(3)",
        "(batch, 6)",
        "(batch, 3, length)",
        "(batch, 3, height, width)",
    )
    model = bp.Model(nn.Sequential(nn.Softmax(1), nn.Linear(6, 3)))
    with refused("X does not fit the network", "dim is 1", "3 dimensions", model=model):
        model.predict(np.zeros((5, 2, 6), np.float32))


def test_batch_norm_of_one_row() -> None:
    model = bp.Model(nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)))
    with refused("BatchNorm1d(3)", "batch", "one value per channel", "batch_size", model=model):
        model.fit(X, Y, batch_size=1)
    with refused("BatchNorm1d(3)", "batch", "one value per channel", model=model):
        model.fit(X[:9], Y[:9], batch_size=8)  # the last batch; found before the first one
    with refused("BatchNorm1d(3)", model=model):
        model.step(X[:1], Y[:1])
    assert model.predict(X[:1]).shape == (1, 3)
    assert_trains(model, Y)
