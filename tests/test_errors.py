"""What is wrong is said: the argument, what was given, what was expected. Nothing has changed then; the model still trains."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.optim import schedules

REFUSED = (ValueError, TypeError, KeyError)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 4)).astype(np.float32)
Y = RNG.standard_normal((20, 3)).astype(np.float32)
LABELS = RNG.integers(0, 3, 20)
LABELS[:3] = 0, 1, 2


def with_value(array: np.ndarray, value: Any, *where: int, dtype: Any = np.float64) -> np.ndarray:
    out = array.astype(dtype)
    out[where] = value
    return out


def mse() -> bp.Model:
    return bp.Model(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), "mse")


def classifier(loss: Any = "cross_entropy") -> bp.Model:
    return bp.Model(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), loss)


def everything(model: bp.Model) -> dict[str, Any]:
    slots = {
        f"optimizer {k}": v
        for k, v in model.optimizer_state.items()
        if k not in ("norm", "scale", "partials")
    }
    kept = model.state_dict() | slots
    return deepcopy(kept | {"step": model.step_count, "epoch": model.epoch})


@contextmanager
def refused(*parts: str, error: Any = REFUSED, model: bp.Model | None = None) -> Iterator[None]:
    """The block raises `error` with all of `parts` in its message, and leaves the model as it was."""
    before = everything(model) if model else {}
    with pytest.raises(error) as caught:
        yield
    message = str(caught.value)
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"
    if model:
        for name, value in everything(model).items():
            assert np.array_equal(value, before[name], equal_nan=True), f"{name} has changed"


def assert_trains(model: bp.Model, y: np.ndarray) -> None:
    before = model.state_dict()
    history = model.fit(X, y, epochs=2, batch_size=8)
    assert np.isfinite(history.history["loss"]).all()
    assert any(not np.array_equal(before[k], v) for k, v in model.state_dict().items())


# ---- data ---------------------------------------------------------------------------------------------------

FEATURES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "one dimension": (X[:, 0], ("X has shape (20,)", "expected (N, features)")),
    "a number": (1.5, ("X has shape ()", "expected (N, features)")),
    "None": (None, ("X has dtype object", "expected numbers")),
    "object": (X.astype(object), ("X has dtype object", "expected numbers")),
    "complex": (X.astype(complex), ("X has dtype complex128", "expected numbers")),
    "string": (X.astype(str), ("X has dtype <U", "expected numbers")),
    "bytes": (b"abc", ("X has dtype |S3", "expected numbers")),
    "datetime": (np.zeros((20, 4), "datetime64[s]"), ("X has dtype datetime64[s]", "expected numbers")),
    "timedelta": (np.zeros((20, 4), "timedelta64[s]"), ("X has dtype timedelta64[s]", "expected numbers")),
    "structured": (np.zeros((20, 4), "f4,i4"), ("X has dtype", "expected numbers")),
    "dict": ({"a": [1.0]}, ("X has dtype object", "expected numbers")),
    "ragged": ([[1.0, 2.0], [3.0]], ("X cannot be read as an array",)),
    "masked": (np.ma.masked_less(X, 0), ("X is a masked array", "expected plain numbers")),
    "too few features": (X[:, :3], ("X does not fit", "3", "expected 4 features")),
    "too many features": (np.hstack([X, X]), ("X does not fit", "8", "expected 4 features")),
    "no rows": (X[:0], ("X is empty", "(0, 4)", "expected at least one row")),
    "no features": (X[:, :0], ("X is empty", "(20, 0)", "one feature")),
    "seven dimensions": (X.reshape(20, 1, 1, 1, 1, 1, 4), ("X has 7 dimensions", "expected at most 6")),
    "NaN": (with_value(X, np.nan, 7, 2), ("X holds nan", "row 7, column 2", "expected finite")),
    "NaN in float32": (with_value(X, np.nan, 19, 3, dtype=np.float32), ("X holds nan", "row 19, column 3")),
    "infinity": (with_value(X, -np.inf, 0, 1), ("X holds -inf", "row 0, column 1", "expected finite")),
    "inf and -inf, whose sum is NaN": (
        with_value(with_value(X, np.inf, 9, 0), -np.inf, 4, 1),
        ("X holds -inf", "row 4, column 1"),
    ),
    "too large for float32": (
        with_value(X, 1e300, 5, 1),
        ("X holds inf", "row 5, column 1", "too large for float32"),
    ),
    "float16 NaN": (with_value(X, np.nan, 2, 2, dtype=np.float16), ("X holds nan", "row 2, column 2")),
}


@pytest.mark.parametrize("what", FEATURES)
def test_features(what: str) -> None:
    value, parts = FEATURES[what]
    model = mse()
    with refused(*parts, model=model):
        model.fit(value, Y)
    with refused(*parts, model=model):
        model.evaluate(value, Y)
    with refused("validation_data", *parts, model=model):
        model.fit(X, Y, validation_data=(value, Y))
    assert_trains(model, Y)


def test_nan_in_many_dimensions_and_late_in_a_large_array() -> None:
    images = np.zeros((3, 5, 6), np.float32)
    images[1, 2, 3] = np.nan
    model = bp.Model(nn.Sequential(nn.Flatten(), nn.Linear(30, 3)))
    with refused("X holds nan", "row 1, position (2, 3)", model=model):
        model.fit(images, Y[:3])
    large = np.zeros((3_000_000, 2), np.float32)
    large[2_999_999, 1] = np.inf
    model = bp.Model(nn.Sequential(nn.Linear(2, 1)))
    with refused("X holds inf", "row 2999999, column 1", model=model):
        model.fit(large, large[:, :1])


def test_finite_numbers_whose_sum_overflows_are_fine() -> None:
    model = bp.Model(nn.Sequential(nn.Linear(2, 1)), "mse", optim.SGD(lr=0.0), dtype="float64")
    model.load_state_dict({"0.weight": np.zeros((1, 2)), "0.bias": np.zeros(1)})
    huge = np.full((4, 2), 1.7e308)
    model.fit(huge, np.zeros((4, 1)))


REGRESSION_TARGETS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "a number": (1.0, ("y is a single number", "expected one target for each row")),
    "None": (None, ("y has dtype object", "expected numbers")),
    "too few rows": (Y[:7], ("y has 7 rows", "X has 20")),
    "too many rows": (np.vstack([Y, Y]), ("y has 40 rows", "X has 20")),
    "too few columns": (Y[:, :2], ("y has shape (20, 2)", "expected (N, 3)")),
    "one dimension": (Y[:, 0], ("y has shape (20,)", "expected (N, 3)")),
    "one dimension too many": (Y[..., None], ("y has shape (20, 3, 1)", "expected (N, 3)")),
    "complex": (Y.astype(complex), ("y has dtype complex128", "expected numbers")),
    "string": (Y.astype(str), ("y has dtype <U", "expected numbers")),
    "datetime": (np.zeros((20, 3), "datetime64[D]"), ("y has dtype datetime64[D]", "expected numbers")),
    "object": (Y.astype(object), ("y has dtype object", "expected numbers")),
    "ragged": ([[1.0], [1.0, 2.0]], ("y cannot be read as an array",)),
    "masked": (np.ma.masked_less(Y, 0), ("y is a masked array",)),
    "NaN": (with_value(Y, np.nan, 11, 1), ("y holds nan", "row 11, column 1")),
    "infinity": (with_value(Y, np.inf, 3, 0), ("y holds inf", "row 3, column 0")),
    "too large for float32": (
        with_value(Y, -1e39, 3, 2),
        ("y holds -inf", "row 3, column 2", "too large for float32"),
    ),
}


@pytest.mark.parametrize("what", REGRESSION_TARGETS)
def test_regression_targets(what: str) -> None:
    value, parts = REGRESSION_TARGETS[what]
    model = mse()
    for call in (model.fit, model.evaluate, model.step):
        with refused(*parts, model=model):
            call(X, value)
    with refused("validation_data", *parts, model=model):
        model.fit(X, Y, validation_data=(X, value))
    assert_trains(model, Y)


CLASS_TARGETS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "a class too high": (with_value(LABELS, 3, 5, dtype=np.int64), ("y[5] is 3", "from 0 to 2", "3 outputs")),
    "negative": (with_value(LABELS, -1, 6, dtype=np.int64), ("y[6] is -1", "from 0 to 2")),
    "very high": (with_value(LABELS, 2**62, 0, dtype=np.int64), (f"y[0] is {2**62}", "from 0 to 2")),
    "float out of range": (with_value(LABELS, 7.0, 2), ("y[2] is 7", "from 0 to 2")),
    "float without end": (with_value(LABELS, 1e30, 2), ("y[2] is", "from 0 to 2")),
    "unsigned, beyond int64": (with_value(LABELS, 2**64 - 1, 4, dtype=np.uint64), ("y[4] is", "from 0 to 2")),
    "fractions": (LABELS + 0.5, ("y has dtype float64", "expected class indices", "0 to 2")),
    "one-hot": (np.eye(3, dtype=int)[LABELS], ("y has shape (20, 3)", "expected class indices")),
    "strings": (LABELS.astype(str), ("y has dtype <U", "expected numbers")),
    "NaN": (with_value(LABELS, np.nan, 8), ("y holds nan", "row 8")),
    "too few": (LABELS[:5], ("y has 5 rows", "X has 20")),
    "a number": (1, ("y is a single number",)),
}


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
@pytest.mark.parametrize("what", CLASS_TARGETS)
def test_class_targets(what: str, loss: str) -> None:
    value, parts = CLASS_TARGETS[what]
    model = classifier(loss)
    for call in (model.fit, model.evaluate, model.step):
        with refused(*parts, model=model):
            call(X, value)
    assert_trains(model, LABELS)


def test_probabilities() -> None:
    model = classifier()
    with refused("y[0] is", "(sum 0.9)", "whose sum is 1", model=model):
        model.fit(X, np.eye(3)[LABELS] * 0.9)
    with refused("y[0] is", "of at least 0", model=model):
        model.evaluate(X, np.tile([1.5, -0.5, 0], (20, 1)))
    with refused("weight has shape (2,)", "expected (3,)"):
        bp.Model(nn.Linear(4, 3), nn.CrossEntropyLoss(weight=[1, 2])).fit(X, np.eye(3)[LABELS])


def test_targets_outside_what_a_loss_takes() -> None:
    model = classifier("bce_with_logits")
    with refused("y reaches from", "expected values in [0, 1]", model=model):
        model.fit(X, 2 * np.ones((20, 3)))
    model = classifier("gaussian_nll")
    with refused("3 outputs", "expected an even number", model=model):
        model.fit(X, Y)
    model = classifier("hinge")
    with refused("y", "expected", "-1", model=model):
        model.fit(X, np.zeros((20, 3)))


# ---- arguments of fit -----------------------------------------------------------------------------------------

ARGUMENTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "batch larger than the data": ({"batch_size": 21}, ("batch_size is 21", "20 rows", "at most 20")),
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
    with refused("class_weight", "no class indices", model=model):
        model.fit(X, Y, class_weight={0: 1.0})
    with pytest.raises(ValueError, match="monitor is 'val_loss'"):
        model.fit(X, Y, callbacks=[bp.EarlyStopping()])
    model = bp.Model(nn.Sequential(nn.Linear(4, 3)), optimizer=optim.SGD(lr=schedules.cosine(0.1, 10)))
    with refused("ReduceLROnPlateau", "schedule", model=model):
        model.fit(X, Y, callbacks=[bp.ReduceLROnPlateau("loss")])


@pytest.mark.parametrize("size", [1, 20, np.int32(7), np.int64(20)])
def test_batch_sizes_at_the_edge(size: Any) -> None:
    assert np.isfinite(mse().fit(X, Y, batch_size=size).history["loss"]).all()


# ---- step, forward, backward, update, predict -------------------------------------------------------------------


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
    assert model.step_count[0] == 1
    assert_trains(model, Y)


# ---- weights ----------------------------------------------------------------------------------------------------


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


# ---- unknown names and numbers out of range -----------------------------------------------------------------------


def made(**arguments: Any) -> Callable[[], Any]:
    return lambda: bp.Model(**({"net": nn.Sequential(nn.Linear(4, 3))} | arguments))


def with_loss(loss: Callable[[], Any], y: Any = LABELS) -> Callable[[], Any]:
    return lambda: classifier(loss()).fit(X, y)


NAN, INF = float("nan"), float("inf")
CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    # Model
    "net a list": (made(net=[nn.Linear(4, 3)]), ("net is list", "expected a layer")),
    "net a class": (made(net=nn.Linear), ("net is type", "expected a layer")),
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
    "Sequential of a list": (lambda: nn.Sequential([nn.ReLU()]), ("Sequential: layer 0 is [ReLU()]",)),  # type: ignore[arg-type]
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


# ---- networks that do not fit together ----------------------------------------------------------------------------


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


# ---- environment ----------------------------------------------------------------------------------------------------


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = str(Path(bp.__file__).parent.parent)
    known = {"PYTHONPATH": os.pathsep.join([path, os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | known | environment,
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
