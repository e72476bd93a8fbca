"""The MLP estimators against the installed scikit-learn: the same loss curves, the same attributes, its own checks."""

import inspect
import os
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn import neural_network as theirs
from sklearn.datasets import load_digits, make_multilabel_classification, make_regression
from sklearn.utils.estimator_checks import parametrize_with_checks

from backpass import sklearn as ours

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
    pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning"),  # of options that 1.6 passes on
]
LIMIT = 1e-9  # asked for is 1e-4; the worst of all cases here is 3e-12
weighted = pytest.mark.skipif(
    "sample_weight" not in inspect.signature(theirs.MLPClassifier.fit).parameters,
    reason="this scikit-learn's MLP takes no sample_weight and no Poisson loss: 1.7 and later do",
)

digits = load_digits(return_X_y=True)
X, y = digits[0][:300] / 16, digits[1][:300]
X_regression, y_regression = make_regression(200, 10, n_targets=3, random_state=0)
y_regression /= y_regression.std()
X_labels, y_labels = make_multilabel_classification(200, random_state=0)
TASKS: dict[str, tuple[str, Any, Any]] = {
    "classes": ("MLPClassifier", X, y),
    "binary": ("MLPClassifier", X, np.where(y > 4, 7, 2)),  # 1.6 and 1.7 cannot stop early with strings
    "multilabel": ("MLPClassifier", X_labels / 10, y_labels),
    "regression": ("MLPRegressor", X_regression, y_regression[:, 0]),
    "outputs": ("MLPRegressor", X_regression, y_regression),
}
SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.01},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.01},
    "plain": {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.01},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.02},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
    "lbfgs": {"solver": "lbfgs"},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "early stopping": {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 3, "tol": 0.01},
    "converges": {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 100},
    "in order": {"shuffle": False, "batch_size": 37},
    "no penalty": {"alpha": 0.0},
    "betas": {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
}
FITTED = (
    *("n_iter_", "n_layers_", "n_outputs_", "t_", "out_activation_", "n_features_in_", "best_loss_"),
    *("loss_", "validation_scores_", "best_validation_score_"),
)


def both(
    estimator: str, X: Any, y: Any, fit: dict[str, Any] | None = None, **parameters: Any
) -> tuple[Any, Any]:
    """Theirs and ours, fitted alike."""
    parameters = {
        "hidden_layer_sizes": (12, 7),
        "random_state": 1,
        "max_iter": 8,
        "alpha": 0.01,
        **parameters,
    }
    made = [getattr(module, estimator)(**parameters).fit(X, y, **(fit or {})) for module in (theirs, ours)]
    return made[0], made[1]


def assert_alike(a: Any, b: Any, limit: float = LIMIT) -> None:
    """Loss curves, weights and all other fitted attributes."""
    for name in FITTED:
        if not hasattr(a, name):
            assert not hasattr(b, name), name
        elif isinstance(value := getattr(a, name), float | list):
            assert np.allclose(value, getattr(b, name), rtol=0, atol=limit), name
        else:
            assert getattr(b, name) == value, name
    if hasattr(a, "loss_curve_"):
        assert np.abs(np.subtract(a.loss_curve_, b.loss_curve_)).max() < limit
    for p, q in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert (p.shape, p.dtype) == (q.shape, q.dtype)
        assert np.allclose(p, q, rtol=0, atol=100 * limit)
    if hasattr(a, "classes_"):
        assert np.array_equal(a.classes_, b.classes_)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_follow_scikit_learn(solver: str, task: str) -> None:
    a, b = both(*TASKS[task], **SOLVERS[solver])
    assert_alike(a, b)
    assert np.array_equal(a.predict(TASKS[task][1]), b.predict(TASKS[task][1])) or task in (
        "regression",
        "outputs",
    )


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh"])
def test_activations_follow_scikit_learn(activation: str, solver: str, task: str) -> None:
    assert_alike(*both(*TASKS[task], activation=activation, solver=solver, max_iter=4))


@pytest.mark.parametrize("task", ["classes", "binary", "outputs"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_follow_scikit_learn(variant: str, task: str) -> None:
    a, b = both(*TASKS[task], **VARIANTS[variant])
    assert_alike(a, b)
    if task != "outputs":
        assert np.allclose(a.predict_proba(X), b.predict_proba(X), rtol=0, atol=LIMIT)
        assert np.allclose(a.predict_log_proba(X), b.predict_log_proba(X), rtol=1e-9)


def test_float32_follows_scikit_learn() -> None:
    a, b = both("MLPClassifier", X.astype(np.float32), y)
    assert np.abs(np.subtract(a.loss_curve_, b.loss_curve_)).max() < 1e-4
    assert {c.dtype for c in (*b.coefs_, *b.intercepts_)} == {np.dtype("float32")}
    assert b.predict_proba(X.astype(np.float32)).dtype == np.float32


def test_dtype_chooses_the_precision() -> None:
    wide = ours.MLPClassifier((12,), random_state=1, max_iter=8).fit(X, y)
    narrow = ours.MLPClassifier((12,), random_state=1, max_iter=8, dtype="float32").fit(X, y)
    assert (wide.coefs_[0].dtype, narrow.coefs_[0].dtype) == (np.float64, np.float32)
    assert np.abs(np.subtract(wide.loss_curve_, narrow.loss_curve_)).max() < 1e-4


@weighted
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("task", TASKS)
def test_sample_weight_follows_scikit_learn(task: str, solver: str) -> None:
    weight = np.random.default_rng(0).uniform(0.1, 3, len(TASKS[task][1]))
    assert_alike(*both(*TASKS[task], fit={"sample_weight": weight}, solver=solver))


@weighted
@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_poisson_follows_scikit_learn(solver: str, weight: bool) -> None:
    counts = np.random.default_rng(0).poisson(np.exp(np.clip(y_regression, -2, 2)))
    fit = {"sample_weight": np.linspace(0.1, 2, len(counts))} if weight else {}
    a, b = both("MLPRegressor", X_regression, counts, fit, loss="poisson", solver=solver, batch_size=64)
    assert_alike(a, b)
    assert b.out_activation_ == "exp"
    assert np.allclose(a.predict(X_regression), b.predict(X_regression))


def test_labels_may_be_strings() -> None:
    names = np.array(["low", "high"])[(y > 4).astype(int)]
    options: dict[str, Any] = {"learning_rate_init": 0.01, "early_stopping": True, "random_state": 0}
    model = ours.MLPClassifier((9,), **options).fit(X, names)
    assert list(model.classes_) == ["high", "low"]
    assert model.best_validation_score_ > 0.8
    assert (model.predict(X) == names).mean() > 0.8


def test_partial_fit_follows_scikit_learn() -> None:
    for solver in ("adam", "invscaling"):
        a, b = (m.MLPClassifier((9,), random_state=2, **SOLVERS[solver]) for m in (theirs, ours))
        for part in range(6):
            rows = slice(50 * part, 50 * (part + 1))
            a.partial_fit(X[rows], y[rows], classes=np.unique(y))
            b.partial_fit(X[rows], y[rows], classes=np.unique(y))
        assert_alike(a, b)
    assert not hasattr(ours.MLPClassifier(solver="lbfgs"), "partial_fit")


def test_verbose_prints_what_scikit_learn_prints(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for module in (theirs, ours):
        for options in ({"early_stopping": True}, SOLVERS["adaptive"]):
            module.MLPClassifier((5,), random_state=0, max_iter=30, verbose=True, **options).fit(X, y)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_warnings_and_errors_are_scikit_learns() -> None:
    from sklearn.exceptions import ConvergenceWarning

    with pytest.warns(ConvergenceWarning, match=re.escape("Maximum iterations (2) reached")) as caught:
        ours.MLPClassifier((5,), max_iter=2).fit(X, y)
    assert caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge") as caught:
        ours.MLPClassifier((5,), max_iter=2, solver="lbfgs").fit(X, y)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="batch_size"):
        ours.MLPClassifier((5,), max_iter=2, batch_size=1000).fit(X, y)
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0"):
        ours.MLPClassifier((5, -1)).fit(X, y)
    with pytest.raises(ValueError, match="The 'solver' parameter of MLPRegressor must be a str among"):
        ours.MLPRegressor(solver="newton").fit(X, y)
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*step"):
        ours.MLPRegressor("squared_error", (5,), solver="sgd", learning_rate_init=1e9).fit(X, y)


@pytest.mark.slow
@parametrize_with_checks([ours.MLPClassifier(max_iter=20), ours.MLPRegressor(max_iter=20)])
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)
