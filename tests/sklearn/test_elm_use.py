"""Extreme learning machines in use: what goes in and comes out, what is refused, and on to backpropagation."""

import os
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from backpass.sklearn import ELMClassifier, ELMRegressor
from backpass.sklearn.elm import base as elm_base
from helpers.elm_rows import LABELS, WEIGHT, X, Y, close

pytestmark = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="once is enough: no kernel is tested here"
)


# ---- what goes in and comes out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows(form: Any) -> None:
    dense = ELMClassifier(20, chunk_size=9, random_state=1).fit(X, LABELS)
    assert np.array_equal(
        clone(dense).fit(form(X), LABELS).decision_function(form(X)), dense.decision_function(X)
    )


def test_shapes_follow_y() -> None:
    assert ELMRegressor(20).fit(X, Y).predict(X).shape == (60, 2)
    assert ELMRegressor(20).fit(X, Y[:, 0]).predict(X).shape == (60,)
    assert ELMRegressor(20).fit(X, Y[:, :1]).predict(X).shape == (60, 1)


def test_several_labels_a_row() -> None:
    many = np.stack([Y[:, 0] > 0, Y[:, 1] > 0, X[:, 0] > -9], axis=1).astype(int)
    elm = ELMClassifier(50, random_state=1).fit(X, many)
    assert (elm.predict(X) == many).mean() > 0.95
    close(elm.predict_proba(X), 1 / (1 + np.exp(-2 * elm.decision_function(X))))
    far = ELMClassifier(50, "identity", alpha=1e-6, random_state=1).fit(X, many).predict_proba(100 * X)
    assert 0 < far.min() < 1e-16, "small, but not cut to 0"
    close(clone(elm).fit(X, sparse.csr_matrix(many)).decision_function(X), elm.decision_function(X))


def test_probabilities_agree_with_least_squares_where_classes_are_equally_likely() -> None:
    elm = ELMClassifier(20, alpha=1e4, random_state=1).fit(X, LABELS, WEIGHT)
    proba, p = elm.predict_proba(X), (elm.decision_function(X) + 1) / 2
    close(proba.sum(axis=1), 1)
    assert np.array_equal(proba.argmax(axis=1), p.argmax(axis=1))
    assert abs(proba - p).max() < 0.05


def test_class_weight() -> None:
    plain = ELMClassifier(20, random_state=1).fit(X, LABELS)
    counts = {c: (c == LABELS).sum() for c in plain.classes_}
    weights = np.array([60 / (3 * counts[c]) for c in LABELS])
    balanced = clone(plain).set_params(class_weight="balanced").fit(X, LABELS)
    close(balanced.decision_function(X), clone(plain).fit(X, LABELS, weights).decision_function(X))
    with pytest.raises(ValueError, match="class_weight is 'balanced', but partial_fit"):
        balanced.partial_fit(X, LABELS)


def test_precision_is_that_of_x() -> None:
    elm = ELMRegressor(20, random_state=1).fit(X, Y)
    single = clone(elm).fit(X.astype(np.float32), Y)
    assert (elm.hidden_.dtype, single.hidden_.dtype) == (np.float64, np.float32)
    close(single.predict(X.astype(np.float32)), elm.predict(X), 1e-3)


@pytest.mark.parametrize("activation", sorted(elm_base.ACTIVATIONS))
def test_every_activation_learns(activation: str) -> None:
    elm = ELMClassifier(80, activation, random_state=1).fit(X, LABELS)
    assert elm.score(X, LABELS) > (0.6 if activation == "identity" else 0.8)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("n_hidden", 0, "n_hidden is 0, expected an integer from 1 to 2147483647"),
        ("n_hidden", 2.5, "n_hidden is 2.5, expected an integer"),
        ("activation", "sinus", "activation is 'sinus', expected one of"),
        ("alpha", -1, "alpha is -1, expected a number of at least 0, 'loo' or None"),
        ("alpha", "best", "alpha is 'best', expected"),
        ("alphas", [0.0, 1.0], r"alphas is \[0.0, 1.0\], expected a list of numbers above 0"),
        ("solver", "lsqr", "solver is 'lsqr', expected one of"),
        ("chunk_size", 0, "chunk_size is 0, expected an integer from 1 to 2147483647"),
        ("weight_scale", np.nan, "weight_scale is nan, expected"),
    ],
)
def test_errors_name_the_argument(argument: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ELMRegressor(**{argument: value}).fit(X, Y)


def test_errors_name_y() -> None:
    elm = ELMClassifier(20, random_state=1).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"y holds the classes \['never'\]"):
        elm.partial_fit(X[:2], ["never", "yes"])
    with pytest.raises(ValueError, match="MultiOutputClassifier"):
        clone(elm).fit(X, np.stack([X[:, 0] > 0, np.arange(60) % 3], axis=1).astype(int))
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):
        clone(elm).fit(X, LABELS, np.zeros(60))
    with pytest.raises(ValueError, match="y has 1 outputs, expected 2"):
        ELMRegressor(20).fit(X, Y).partial_fit(X, Y[:, 0])


# ---- on to backpropagation -----------------------------------------------------------------------------------------


def test_a_regressor_becomes_a_model_that_trains() -> None:
    elm = ELMRegressor(20, alpha=10.0, random_state=1).fit(X, Y)
    model = elm.to_mlp(optimizer="adam")
    close(model.predict(X), elm.predict(X))
    before = model.evaluate(X, Y)["loss"]
    model.fit(X, Y, epochs=150)
    assert model.evaluate(X, Y)["loss"] < 0.8 * before
    assert elm.to_mlp(loss="huber", dtype="float32").dtype == np.float32


@pytest.mark.parametrize("classes", [2, 3])
def test_a_classifier_becomes_a_model_whose_softmax_are_its_probabilities(classes: int) -> None:
    y = LABELS if classes == 3 else LABELS == "yes"
    elm = ELMClassifier(20, alpha=1.0, random_state=1).fit(X, y)
    model = elm.to_mlp(optimizer="adam")
    powers = np.exp(model.predict(X))
    close(powers / powers.sum(axis=1, keepdims=True), elm.predict_proba(X))
    index = np.searchsorted(elm.classes_, y)
    assert model.evaluate(X, index)["accuracy"] == elm.score(X, y)
    before = model.evaluate(X, index)["loss"]
    model.fit(X, index, epochs=30)
    assert model.evaluate(X, index)["loss"] < 0.9 * before


def test_predict_from_several_threads() -> None:
    elm = pickle.loads(pickle.dumps(ELMClassifier(1000, random_state=0).fit(X, LABELS)))
    many = np.repeat(X, 100, axis=0)
    expected = elm.predict(many)
    start = Barrier(4)

    def predict(_: int) -> bool:
        start.wait()
        return all(np.array_equal(elm.predict(many), expected) for _ in range(10))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(predict, range(4)))


def test_small_integers_are_numbers_like_any_other() -> None:
    """A size of np.uint8 must not make sums of sizes overflow."""
    X = np.random.default_rng(0).standard_normal((30, 4))
    made = [ELMRegressor(size, random_state=0).fit(X, X[:, 0]).predict(X) for size in (200, np.uint8(200))]
    np.testing.assert_array_equal(*made)


# ---- what a call leaves behind ---------------------------------------------------------------------------------------


def test_to_mlp_is_the_fitted_network_whatever_the_parameters_say_by_now() -> None:
    elm = ELMRegressor(20, random_state=1).fit(X, Y)
    elm.set_params(activation="relu", n_hidden=7)
    close(elm.to_mlp().predict(X), elm.predict(X))


def test_a_refused_partial_fit_changes_nothing() -> None:
    elm = ELMRegressor(20, random_state=1).fit(X, Y)
    before = elm.predict(X)
    with pytest.raises(ValueError, match="y has 1 outputs, expected 2"):
        elm.partial_fit(X, Y[:, 0])
    assert np.array_equal(elm.predict(X), before)


def test_a_first_partial_fit_without_a_row_that_counts_is_none() -> None:
    elm = ELMClassifier(20, class_weight=dict.fromkeys(LABELS.tolist(), 0.0), random_state=1)
    with pytest.raises(ValueError, match=r"class_weight is \{.*\}, which makes the weight of every row zero"):
        elm.partial_fit(X, LABELS, classes=np.unique(LABELS))
    with pytest.raises(NotFittedError):
        elm.predict(X)


def test_class_weight_and_labels() -> None:
    several = np.stack([Y[:, 0] > 0, Y[:, 1] > 0.5], axis=1).astype(int)
    balanced = ELMClassifier(20, class_weight="balanced", random_state=1).fit(X, several)
    weights = np.prod([60 / 2 / np.bincount(column)[column] for column in several.T], axis=0)
    close(balanced.coef_, clone(balanced).set_params(class_weight=None).fit(X, several, weights).coef_)
    listed = clone(balanced).set_params(class_weight=[{0: 1.0, 1: 3.0}, {0: 2.0, 1: 1.0}]).fit(X, several)
    weights = np.where(several[:, 0], 3.0, 1.0) * np.where(several[:, 1], 1.0, 2.0)
    close(listed.coef_, clone(balanced).set_params(class_weight=None).fit(X, several, weights).coef_)
    with pytest.raises(ValueError, match=r"class_weight names \['maybe'\], expected classes of \['no'"):
        ELMClassifier(20, class_weight={"maybe": 2.0}).fit(X, LABELS)
    two = LABELS != "perhaps"  # a fold without the class "perhaps"
    weights = {"no": 1.0, "perhaps": 2.0, "yes": 1.0}
    ELMClassifier(20, class_weight=weights).fit(X[two], LABELS[two])


def test_many_targets_count_in_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elm_base, "CHUNK_BYTES", 1 << 20)
    x, y = np.zeros((20_000, 1)), np.zeros((20_000, 200))
    elm = ELMRegressor(4, random_state=1)
    tracemalloc.start()
    elm.fit(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # y: 32 MB
