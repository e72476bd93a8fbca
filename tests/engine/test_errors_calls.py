"""What is wrong with a call of a model is said: fit, step, predict, weights. Nothing has changed then; the model still trains."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.optim import schedules
from helpers.refusals import LABELS, X, Y, assert_trains, classifier, mse, refused, with_value

# ---- arguments of fit ------------------------------------------------------------------------------------------------


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
        ("sample_weight has shape (2,)", "expected (20,)"),
    ),
    "sample_weight a matrix": (
        {"sample_weight": np.ones((20, 1))},
        ("sample_weight has shape (20, 1)", "(20,)"),
    ),
    "sample_weight a number": ({"sample_weight": 2.0}, ("sample_weight has shape ()", "(20,)")),
    "sample_weight text": ({"sample_weight": "balanced"}, ("sample_weight has dtype", "expected numbers")),
    "sample_weight negative": (
        {"sample_weight": with_value(np.ones(20), -2, 4)},
        ("sample_weight holds -2.0", "at least 0"),
    ),
    "sample_weight NaN": (
        {"sample_weight": with_value(np.ones(20), np.nan, 4)},
        ("sample_weight holds nan", "row 4"),
    ),
    "sample_weight inf": (
        {"sample_weight": with_value(np.ones(20), np.inf, 4)},
        ("sample_weight holds inf", "row 4"),
    ),
    "sample_weight huge": (
        {"sample_weight": with_value(np.ones(20), 1e300, 4)},
        ("sample_weight holds inf", "row 4", "too large"),
    ),
    "sample_weight all 0": (
        {"sample_weight": np.zeros(20)},
        ("sample_weight is 0 everywhere", "expected at least one"),
    ),
    "sample_weight complex": (
        {"sample_weight": np.ones(20, complex)},
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
    "validation_data of 4": (
        {"validation_data": (X, LABELS, None, None)},
        ("validation_data is a tuple of 4",),
    ),
    "validation_data rows": (
        {"validation_data": (X, LABELS[:3])},
        ("validation_data: y has 3 rows", "X has 20"),
    ),
    "validation_data features": (
        {"validation_data": (X[:, 1:], LABELS)},
        ("validation_data: X", "3", "expected 4"),
    ),
    "validation_data weight": (
        {"validation_data": (X, LABELS, [1])},
        ("validation_data: sample_weight has shape (1,)", "(20,)"),
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
    model = classifier()
    with refused(*parts, model=model):
        model.fit(X, LABELS, **arguments)
    assert_trains(model, LABELS)


def test_arguments_that_do_not_go_together() -> None:
    model = mse()
    with refused("class_weight", "neither class indices nor", model=model):
        model.fit(X, Y, class_weight={0: 1.0})
    with pytest.raises(ValueError, match="monitor is 'val_loss'"):
        model.fit(X, Y, callbacks=[bp.EarlyStopping()])
    model = bp.Model(nn.Sequential(nn.Linear(4, 3)), optimizer=optim.SGD(lr=schedules.cosine(0.1, 10)))
    with refused("ReduceLROnPlateau", "schedule", model=model):
        model.fit(X, Y, callbacks=[bp.ReduceLROnPlateau("loss")])


@pytest.mark.parametrize("size", [1, 20, np.int32(7), np.int64(20)])
def test_batch_sizes_at_the_edge(size: Any) -> None:
    assert np.isfinite(mse().fit(X, Y, batch_size=size).history["loss"]).all()


# ---- step, forward, backward, update, predict ------------------------------------------------------------------------


def test_step() -> None:
    model = mse()
    with refused("x is empty", "(0, 4)", model=model):
        model.step(X[:0], Y[:0])
    with refused("X does not fit", "expected 4 features", model=model):
        model.step(X[:, 1:], Y)
    with refused("x holds nan", "row 2, column 1", model=model):
        model.step(with_value(X, np.nan, 2, 1), Y)
    assert_trains(model, Y)


def test_predict() -> None:
    model = mse()
    with refused("X has shape (4,)", "(N, features)", model=model):
        model.predict(X[0])
    with refused("X does not fit", "expected 4 features", model=model):
        model.predict(X[:, 1:])
    with refused("X has dtype <U", model=model):
        model.predict(X.astype(str))
    assert model.predict(X[:0]).shape == (0, 3)
    assert_trains(model, Y)


def test_own_loss() -> None:
    model = mse()
    with refused("backward() needs a forward(x, training=True)", error=RuntimeError, model=model):
        model.backward(Y)
    model.forward(X)
    with refused("backward() needs a forward(x, training=True)", error=RuntimeError, model=model):
        model.backward(Y)
    with refused("X does not fit", "expected 4 features", model=model):
        model.forward(X[:, 1:], training=True)
    model.forward(X, training=True)
    for given, parts in (
        (Y[:3], ("dout has shape (3, 3)", "(20, 3)")),
        (Y[:, 0], ("dout has shape (20,)", "(20, 3)")),
        (1.0, ("dout has shape ()", "(20, 3)")),
        (None, ("dout has dtype object",)),
        (Y.astype(complex), ("dout has dtype complex128",)),
        (Y.astype(str), ("dout has dtype <U",)),
    ):
        with refused(*parts, model=model):
            model.backward(given)
    for loss in ("x", None, [1.0, 2.0], 1j):
        with refused("loss is", "expected one number", model=model):
            model.update(loss)  # type: ignore[arg-type]
    model.forward(X, training=True)
    model.backward(with_value(Y, np.nan, 0, 0))
    with refused("step 0", "not finite", error=bp.NonFiniteError, model=model):
        model.update()
    model.forward(X, training=True)
    model.backward(Y)
    with refused("step 0", "not finite", error=bp.NonFiniteError, model=model):
        model.update(float("nan"))
    model.update(0.5)
    assert model.engine.step_count[0] == 1
    assert_trains(model, Y)


# ---- weights ---------------------------------------------------------------------------------------------------------


def test_load_state_dict_changes_nothing_unless_all_fits() -> None:
    model = bp.Model(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)))
    good = {k: v + 1 for k, v in model.state_dict().items()}
    without = {k: v for k, v in good.items() if k != "2.bias"}
    for state, parts in (
        (without, ("missing keys ['2.bias']",)),
        (good | {"3.weight": X}, ("unknown keys ['3.weight']",)),
        ({}, ("missing keys ['0.bias', '0.weight'",)),
        (good | {5: X}, ("unknown keys [5]",)),
        (good | {"2.weight": good["2.weight"].T}, ("state['2.weight'] has shape (8, 3)", "expected (3, 8)")),
        (good | {"2.bias": 1.0}, ("state['2.bias'] has shape ()", "expected (3,)")),
        (good | {"2.bias": ["a", "b", "c"]}, ("state['2.bias'] has dtype <U1",)),
        (good | {"2.bias": None}, ("state['2.bias'] has dtype object",)),
        (good | {"2.bias": [1j, 1, 1]}, ("state['2.bias'] has dtype complex128",)),
        (
            good | {"2.bias": np.array([0, 1e300, 0])},
            ("state['2.bias'] holds inf", "row 1", "too large for float32"),
        ),
        (good | {"1.running_var": np.ones(7)}, ("state['1.running_var'] has shape (7,)", "(8,)")),
        (None, ("state is NoneType", "expected a dict")),
        ([1], ("state is list", "expected a dict")),
    ):
        with refused(*parts, model=model):
            model.load_state_dict(state)
    model.load_state_dict(good)
    assert all(np.array_equal(v, good[k]) for k, v in model.state_dict().items())


def test_learning_rate() -> None:
    model = mse()
    for value in ("x", None, -1, float("nan"), [1], True):
        with refused("lr is", "expected a number", model=model):
            model.lr = value  # type: ignore[assignment]
    model.lr = 0.5
    assert model.lr == 0.5


def test_writing_a_weight_of_another_shape() -> None:
    model = mse()
    with refused("(3,3)", "(8,4)", model=model):
        model.net[0].weight = np.zeros((3, 3))
    with pytest.raises(AttributeError, match="has no weight yet"):
        _ = nn.Linear(3, 3).weight
    with pytest.raises(AttributeError, match="has no attribute 'wieght'"):
        _ = nn.Linear(3, 3).wieght
