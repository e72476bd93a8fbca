"""What is wrong with data is said: the argument, what was given, what was expected. Nothing has changed then."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from helpers.nets import LABELS, X, Y, small
from helpers.refusals import assert_trains, refused, with_value
from helpers.registered import sample_losses

FEATURES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "one dimension": (X[:, 0], ("X has shape (70,)", "expected (N, features)")),
    "a number": (1.5, ("X has shape ()", "expected (N, features)")),
    "None": (None, ("X has dtype object", "expected numbers")),
    "object": (X.astype(object), ("X has dtype object", "expected numbers")),
    "complex": (X.astype(complex), ("X has dtype complex128", "expected numbers")),
    "string": (X.astype(str), ("X has dtype <U", "expected numbers")),
    "bytes": (b"abc", ("X has dtype |S3", "expected numbers")),
    "datetime": (np.zeros((70, 6), "datetime64[s]"), ("X has dtype datetime64[s]", "expected numbers")),
    "timedelta": (np.zeros((70, 6), "timedelta64[s]"), ("X has dtype timedelta64[s]", "expected numbers")),
    "structured": (np.zeros((70, 6), "f4,i4"), ("X has dtype", "expected numbers")),
    "dict": ({"a": [1.0]}, ("X holds ['a']", "expected an array for each input: ['x']")),
    "ragged": ([[1.0, 2.0], [3.0]], ("X cannot be read as an array",)),
    "masked": (np.ma.masked_less(X, 0), ("X is a masked array", "expected plain numbers")),
    "too few features": (X[:, :3], ("X does not fit", "3", "expected 6 features")),
    "too many features": (np.hstack([X, X]), ("X does not fit", "12", "expected 6 features")),
    "no rows": (X[:0], ("X is empty", "(0, 6)", "expected at least one row")),
    "no features": (X[:, :0], ("X is empty", "(70, 0)", "one feature")),
    "seven dimensions": (X.reshape(70, 1, 1, 1, 1, 1, 6), ("X has 7 dimensions", "expected at most 6")),
    "NaN": (with_value(X, np.nan, 7, 2), ("X holds nan", "row 7, column 2", "expected finite")),
    "NaN in float32": (with_value(X, np.nan, 69, 5, dtype=np.float32), ("X holds nan", "row 69, column 5")),
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
    model = small()
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
    "too few rows": (Y[:7], ("y has 7 rows", "X has 70")),
    "too many rows": (np.vstack([Y, Y]), ("y has 140 rows", "X has 70")),
    "too few columns": (Y[:, :2], ("y has shape (70, 2)", "expected (N, 3)")),
    "one dimension": (Y[:, 0], ("y has shape (70,)", "expected (N, 3)")),
    "one dimension too many": (Y[..., None], ("y has shape (70, 3, 1)", "expected (N, 3)")),
    "complex": (Y.astype(complex), ("y has dtype complex128", "expected numbers")),
    "string": (Y.astype(str), ("y has dtype <U", "expected numbers")),
    "datetime": (np.zeros((70, 3), "datetime64[D]"), ("y has dtype datetime64[D]", "expected numbers")),
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
    model = small()
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
    "two ones": (1 - np.eye(3, dtype=int)[LABELS], ("y[0] is [0 1 1]", "rows with a single 1")),
    "strings": (LABELS.astype(str), ("y has dtype <U", "expected numbers")),
    "NaN": (with_value(LABELS, np.nan, 8), ("y holds nan", "row 8")),
    "too few": (LABELS[:5], ("y has 5 rows", "X has 70")),
    "a number": (1, ("y is a single number",)),
}


@pytest.mark.parametrize("loss", [n for n, sample in sample_losses().items() if sample.of_classes])
@pytest.mark.parametrize("what", CLASS_TARGETS)
def test_class_targets(what: str, loss: str) -> None:
    value, parts = CLASS_TARGETS[what]
    model = small(loss)
    for call in (model.fit, model.evaluate, model.step):
        with refused(*parts, model=model):
            call(X, value)
    assert_trains(model, LABELS)


def test_probabilities() -> None:
    model = small("cross_entropy")
    with refused("y[0] is", "(sum 0.9)", "whose sum is 1", model=model):
        model.fit(X, np.eye(3)[LABELS] * 0.9)
    with refused("y[0] is", "of at least 0", model=model):
        model.evaluate(X, np.tile([1.5, -0.5, 0], (70, 1)))
    with refused("weight has shape (2,)", "expected (3,)"):
        bp.Model(nn.Linear(6, 3), nn.CrossEntropyLoss(weight=[1, 2])).fit(X, np.eye(3)[LABELS])


def test_targets_outside_what_a_loss_takes() -> None:
    model = small("bce_with_logits")
    with refused("y reaches from", "expected values in [0, 1]", model=model):
        model.fit(X, 2 * np.ones((70, 3)))
    model = small("gaussian_nll")
    with refused("3 outputs", "expected an even number", model=model):
        model.fit(X, Y)
    model = small("hinge")
    with refused("y", "expected", "-1", model=model):
        model.fit(X, np.zeros((70, 3)))
