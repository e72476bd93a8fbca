"""RNNClassifier and RNNRegressor: sequences of one length or of several, scikit-learn's tools around them, what they refuse."""

import os
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, train_test_split

import backpass as bp
from backpass import nn
from backpass.sklearn import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"
)
rng = np.random.default_rng(0)
# Waves of three frequencies, with noise, and some of their first steps alone.
y = rng.integers(0, 3, 240)
time = np.linspace(0, 3, 20)
X = np.sin(time * (1 + 2 * y[:, None]) + rng.uniform(0, 6, (240, 1)))[..., None]
X = np.concatenate([X, np.roll(X, 1, 1)], 2) + 0.1 * rng.standard_normal((240, 20, 2))
LENGTHS = rng.integers(8, 21, 240)
RAGGED = [row[:length] for row, length in zip(X, LENGTHS, strict=True)]
MEANS = np.array([row.mean(axis=0) for row in RAGGED])


def classifier(**parameters: Any) -> RNNClassifier:
    return RNNClassifier(
        **{"hidden_size": 16, "max_iter": 3, "learning_rate_init": 0.01, "random_state": 0, **parameters}
    )


def regressor(**parameters: Any) -> RNNRegressor:
    return RNNRegressor(
        **{"hidden_size": 16, "max_iter": 3, "learning_rate_init": 0.01, "random_state": 0, **parameters}
    )


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_learns_waves_of_different_lengths(cell: str) -> None:
    model = classifier(cell=cell, max_iter=40).fit(RAGGED[:180], y[:180])
    assert model.score(RAGGED[180:], y[180:]) > 0.85
    assert model.n_features_in_ == 2
    assert model.input_shape_ == (20, 2)


def test_it_learns_means_of_different_lengths() -> None:
    model = regressor(cell="gru", max_iter=60).fit(RAGGED[:180], MEANS[:180])
    assert model.predict(RAGGED).shape == (240, 2)
    assert model.score(RAGGED[180:], MEANS[180:]) > 0.8
    assert regressor().fit(X, MEANS[:, 0]).predict(X).shape == (240,)
    with pytest.warns(DataConversionWarning):
        assert regressor().fit(X, MEANS[:, :1]).predict(X).shape == (240,)


def test_what_is_behind_the_end_of_a_sequence_has_no_part() -> None:
    model = classifier().fit(RAGGED, y)
    together = model.predict_proba(RAGGED)
    each = np.concatenate([model.predict_proba([row]) for row in RAGGED[:20]])
    assert np.allclose(together[:20], each, atol=1e-6)


def test_forms_of_x_that_mean_the_same() -> None:
    expected = classifier().fit(X, y).predict_proba(X)
    for form in ([*X], X.astype(np.float32), X[:, ::-1][:, ::-1]):
        assert np.allclose(classifier().fit(form, y).predict_proba(form), expected, atol=1e-5)
    assert classifier().fit(X, y).predict(X[:5, :7]).shape == (5,)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_default_network(cell: str) -> None:
    parameters: dict[str, Any] = {
        "num_layers": 2,
        "bidirectional": True,
        "hidden_layer_sizes": 6,
        "dropout": 0.2,
    }
    model = classifier(cell=cell, max_iter=1, **parameters).fit(X, y)
    layers = [*model.model_.net]
    kinds = [type(layer).__name__ for layer in layers]
    assert kinds == [cell.upper(), "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert layers[0].settings["num_layers"] == 2
    assert layers[2].weight.shape == (6, 32)
    assert layers[-1].weight.shape == (3, 6)


class Own(nn.Module):
    """A network of a user's, whose input has a name of its own."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.GRU(features, 8, returns="last"), nn.Linear(8, outputs))

    def forward(self, steps: Any) -> Any:
        return self.inner(steps)


def network(shape: tuple[int, int], outputs: int) -> nn.Module:
    return Own(shape[1], outputs)


def test_a_network_of_ones_own() -> None:
    for rows in (X, RAGGED):
        model = classifier(network=network).fit(rows, y)
        assert isinstance(model.model_.net, Own)
        assert model.predict_proba(rows).shape == (240, 3)


def test_early_stopping_of_a_regressor() -> None:
    """The scores are R² of the held-out rows, and the weights of the best one come back."""
    heard: list[float] = []

    class Listen(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            heard.append(logs["val_r2"])

    watch = bp.ReduceLROnPlateau("val_r2", patience=3)
    model = regressor(early_stopping=True, max_iter=12, callbacks=[Listen(), watch]).fit(RAGGED, MEANS)
    assert heard == model.validation_scores_
    draws = np.random.RandomState(0)
    draws.randint(2**31 - 1)
    _, held = train_test_split(np.arange(240), test_size=0.1, random_state=draws)
    score = r2_score(MEANS[held], model.predict([RAGGED[row] for row in held]))
    assert model.best_validation_score_ == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_among_the_tools_of_scikit_learn(make: Any) -> None:
    target = y if make is classifier else MEANS
    model = make(dropout=0.2).fit(RAGGED, target)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(clone(model).fit(RAGGED, target).predict(X), model.predict(X))
    for one in (model, again):
        one.partial_fit(RAGGED[:50], target[:50])
    assert np.array_equal(model.predict(X), again.predict(X))
    assert len(model.loss_curve_) == 4
    search = GridSearchCV(make(max_iter=1), {"hidden_size": [4, 8]}, cv=2).fit(RAGGED, target)
    assert {*search.cv_results_["param_hidden_size"]} == {4, 8}


def test_weights_of_rows() -> None:
    weight = np.where(y == 2, 0.0, 1.0)
    assert {*classifier(max_iter=20).fit(X, y, sample_weight=weight).predict(X)} <= {0, 1}


REFUSED: list[tuple[dict[str, Any], Any, str]] = [
    ({}, X[:, 0], r"X has shape \(240, 2\), expected sequences .*X\[:, :, None\]"),
    ({}, X[:, :0], r"X has shape \(240, 0, 2\), expected sequences"),
    ({}, [X[0], X[1, :, 0]], r"X\[1\] has shape \(20,\), expected \(T, F\)"),
    ({}, [X[0], X[1, :, :1]], r"X\[1\] has 1 features, expected 2 as in X\[0\]"),
    ({}, [X[0], X[1, :0]], r"X\[1\] has shape \(0, 2\), expected \(T, F\), at least one step"),
    ({}, X[:100], "inconsistent numbers of samples"),
    ({}, np.full_like(X, np.inf), "X holds inf"),
    ({"cell": "LSTM"}, X, "'cell' parameter .*did you mean 'lstm'"),
    ({"hidden_size": 0}, X, "'hidden_size' parameter"),
    ({"hidden_layer_sizes": (0,)}, X, r"hidden_layer_sizes is \(0,\), expected integers"),
]


@pytest.mark.parametrize(("parameters", "rows", "message"), REFUSED)
def test_refusals(parameters: dict[str, Any], rows: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        classifier(**parameters).fit(rows, y)


def test_more_refusals() -> None:
    model = regressor().fit(X, MEANS)
    with pytest.raises(ValueError, match="X has 1 features, expected 2 as in fit"):
        model.predict(X[..., :1])
    with pytest.raises(ValueError, match="X holds nan"):
        model.predict(np.full_like(X, np.nan))
    with pytest.raises(ValueError, match="y has 1 outputs, expected 2 as in the y of fit"):
        model.partial_fit(X, MEANS[:, 0])
    with pytest.raises(ValueError, match="cell is 'gru', expected 'lstm': partial_fit and warm_start"):
        model.set_params(cell="gru").partial_fit(X, MEANS)
    with pytest.raises(NotFittedError):
        regressor().predict(X)
    with pytest.raises(TypeError, match="it is called num_layers"):
        regressor(n_layers=3)
    with pytest.raises(ValueError, match="Found array with dim 3"):
        regressor().fit(X, MEANS[:, None])
