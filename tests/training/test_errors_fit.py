"""What is wrong with an argument of fit is said. Nothing has changed then; the model still trains."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.optim import schedules
from helpers.nets import LABELS, X, Y, small
from helpers.refusals import assert_trains, refused, with_value

ARGUMENTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "batch 0": ({"batch_size": 0}, ("batch_size is 0", "at least 1")),
    "batch negative": ({"batch_size": -8}, ("batch_size is -8", "at least 1")),
    "batch a float": ({"batch_size": 8.0}, ("batch_size is 8.0", "expected an integer")),
    "batch NaN": ({"batch_size": float("nan")}, ("batch_size is nan", "expected an integer")),
    "batch text": ({"batch_size": "8"}, ("batch_size is '8'", "expected an integer")),
    "batch True": ({"batch_size": True}, ("batch_size is True", "expected an integer")),
    "batch a list": ({"batch_size": [8]}, ("batch_size is [8]", "expected an integer")),
    "epochs negative": ({"epochs": -1}, ("epochs is -1", "at least 0")),
    "epochs a float": ({"epochs": 1.0}, ("epochs is 1.0", "expected an integer")),
    "epochs text": ({"epochs": "2"}, ("epochs is '2'", "expected an integer")),
    "epochs None": ({"epochs": None}, ("epochs is None", "expected an integer")),
    "epochs True": ({"epochs": True}, ("epochs is True", "expected an integer")),
    "sample_weight too short": (
        {"sample_weight": [1.0, 2.0]},
        ("sample_weight has shape (2,)", "expected (70,)"),
    ),
    "sample_weight a matrix": (
        {"sample_weight": np.ones((70, 1))},
        ("sample_weight has shape (70, 1)", "(70,)"),
    ),
    "sample_weight a number": ({"sample_weight": 2.0}, ("sample_weight has shape ()", "(70,)")),
    "sample_weight text": ({"sample_weight": "balanced"}, ("sample_weight has dtype", "expected numbers")),
    "sample_weight negative": (
        {"sample_weight": with_value(np.ones(70), -2, 4)},
        ("sample_weight holds -2.0", "at least 0"),
    ),
    "sample_weight NaN": (
        {"sample_weight": with_value(np.ones(70), np.nan, 4)},
        ("sample_weight holds nan", "row 4"),
    ),
    "sample_weight inf": (
        {"sample_weight": with_value(np.ones(70), np.inf, 4)},
        ("sample_weight holds inf", "row 4"),
    ),
    "sample_weight huge": (
        {"sample_weight": with_value(np.ones(70), 1e300, 4)},
        ("sample_weight holds inf", "row 4", "too large"),
    ),
    "sample_weight all 0": (
        {"sample_weight": np.zeros(70)},
        ("sample_weight is 0 everywhere", "expected at least one"),
    ),
    "sample_weight complex": (
        {"sample_weight": np.ones(70, complex)},
        ("sample_weight has dtype complex128",),
    ),
    "validation_data an array": (
        {"validation_data": X},
        ("validation_data is a ndarray", "expected a tuple (X, y)"),
    ),
    "validation_data a share": (
        {"validation_data": 0.1},
        ("validation_data is a float", "expected a tuple (X, y)"),
    ),
    "validation_data of 1": (
        {"validation_data": (X,)},
        ("validation_data is a tuple of 1", "expected a tuple (X, y)"),
    ),
    "validation_data of 5": (
        {"validation_data": (X, LABELS, None, None, None)},
        ("validation_data is a tuple of 5",),
    ),
    "validation_data rows": (
        {"validation_data": (X, LABELS[:3])},
        ("validation_data: y has 3 rows", "X has 70"),
    ),
    "validation_data features": (
        {"validation_data": (X[:, 1:], LABELS)},
        ("validation_data: X", "5", "expected 6"),
    ),
    "validation_data weight": (
        {"validation_data": (X, LABELS, [1])},
        ("validation_data: sample_weight has shape (1,)", "(70,)"),
    ),
    "validation_data labels": (
        {"validation_data": (X, LABELS + 9)},
        ("validation_data:", "y[0] is", "from 0 to 2"),
    ),
    "class_weight too short": ({"class_weight": [1.0, 2.0]}, ("class_weight has shape (2,)", "(3,)")),
    "class_weight a number": ({"class_weight": 2}, ("class_weight has shape ()", "(3,)")),
    "class_weight text": ({"class_weight": "even"}, ("class_weight is 'even'", "'balanced'")),
    "class_weight unknown class": (
        {"class_weight": {0: 1.0, 3: 1.0}},
        ("class_weight names class 3", "0 to 2"),
    ),
    "class_weight names": ({"class_weight": {"cat": 1.0}}, ("class_weight names class 'cat'", "0 to 2")),
    "class_weight no numbers": ({"class_weight": {0: "x"}}, ("class_weight has dtype", "expected numbers")),
    "class_weight negative": ({"class_weight": [1, -1, 1]}, ("class_weight is -1 for class 1", "at least 0")),
    "class_weight NaN": ({"class_weight": {2: float("nan")}}, ("class_weight is nan for class 2", "finite")),
    "class_weight inf": ({"class_weight": {2: float("inf")}}, ("class_weight is inf for class 2", "finite")),
    "callbacks None": ({"callbacks": None}, ("callbacks is None", "expected a list")),
    "callbacks one": ({"callbacks": bp.EarlyStopping("loss")}, ("callbacks is", "expected a list")),
    "callbacks a class": ({"callbacks": [bp.EarlyStopping]}, ("callbacks[0] is", "expected an object")),
    "callbacks other": (
        {"callbacks": [bp.TerminateOnNaN(), print]},
        ("callbacks[1] is", "expected an object"),
    ),
}


@pytest.mark.parametrize("what", ARGUMENTS)
def test_arguments_of_fit(what: str) -> None:
    arguments, parts = ARGUMENTS[what]
    model = small("cross_entropy")
    with refused(*parts, model=model):
        model.fit(X, LABELS, **arguments)
    assert_trains(model, LABELS)


def test_arguments_that_do_not_go_together() -> None:
    model = small()
    with refused("class_weight", "neither class indices nor", model=model):
        model.fit(X, Y, class_weight={0: 1.0})
    with pytest.raises(ValueError, match="monitor is 'val_loss'"):
        model.fit(X, Y, callbacks=[bp.EarlyStopping()])
    model = bp.Model(nn.Sequential(nn.Linear(6, 3)), optimizer=optim.SGD(lr=schedules.cosine(0.1, 10)))
    with refused("ReduceLROnPlateau", "schedule", model=model):
        model.fit(X, Y, callbacks=[bp.ReduceLROnPlateau("loss")])


@pytest.mark.parametrize("size", [1, 70, np.int32(7), np.int64(70)])
def test_batch_sizes_at_the_edge(size: Any) -> None:
    assert np.isfinite(small().fit(X, Y, batch_size=size).history["loss"]).all()
