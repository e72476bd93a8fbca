"""What is wrong with a call of a model is said: step, predict, weights. Nothing has changed then; the model still trains."""

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.nets import X, Y, small
from helpers.refusals import assert_trains, refused, with_value

# ---- step, forward, backward, update, predict ------------------------------------------------------------------------


def test_step() -> None:
    model = small()
    with refused("x is empty", "(0, 6)", model=model):
        model.step(X[:0], Y[:0])
    with refused("X does not fit", "expected 6 features", model=model):
        model.step(X[:, 1:], Y)
    with refused("x holds nan", "row 2, column 1", model=model):
        model.step(with_value(X, np.nan, 2, 1), Y)
    assert_trains(model, Y)


def test_predict() -> None:
    model = small()
    with refused("X has shape (6,)", "(N, features)", model=model):
        model.predict(X[0])
    with refused("X does not fit", "expected 6 features", model=model):
        model.predict(X[:, 1:])
    with refused("X has dtype <U", model=model):
        model.predict(X.astype(str))
    assert model.predict(X[:0]).shape == (0, 3)
    assert_trains(model, Y)


def test_own_loss() -> None:
    model = small()
    with refused("backward() needs a forward(x, training=True)", error=RuntimeError, model=model):
        model.backward(Y)
    model.forward(X)
    with refused("backward() needs a forward(x, training=True)", error=RuntimeError, model=model):
        model.backward(Y)
    with refused("X does not fit", "expected 6 features", model=model):
        model.forward(X[:, 1:], training=True)
    model.forward(X, training=True)
    for given, parts in (
        (Y[:3], ("dout has shape (3, 3)", "(70, 3)")),
        (Y[:, 0], ("dout has shape (70,)", "(70, 3)")),
        (1.0, ("dout has shape ()", "(70, 3)")),
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
    model = small()
    for value in ("x", None, -1, float("nan"), [1], True):
        with refused("lr is", "expected a number", model=model):
            model.lr = value  # type: ignore[assignment]
    model.lr = 0.5
    assert model.lr == 0.5


def test_writing_a_weight_of_another_shape() -> None:
    model = small()
    with refused("(3,3)", "(8,6)", model=model):
        model.net[0].weight = np.zeros((3, 3))
    for use in (np.asarray, lambda weight: weight.mean(), lambda weight: weight[0]):
        with pytest.raises(
            (TypeError, AttributeError), match=r"a Parameter of shape \(3, 3\) has no values yet"
        ):
            use(nn.Linear(3, 3).weight)
    with pytest.raises(AttributeError, match="has no attribute 'wieght'"):
        _ = nn.Linear(3, 3).wieght
