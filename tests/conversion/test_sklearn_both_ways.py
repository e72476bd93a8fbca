"""Perceptrons of scikit-learn as models and back: the same predictions, and training that goes on as it would there."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim

pytest.importorskip("sklearn")
from sklearn.neural_network import MLPClassifier, MLPRegressor

from backpass import sklearn as ours

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 5))
Y = {
    "three classes": np.array(["a", "b", "c"])[RNG.integers(0, 3, 60)],
    "two classes": RNG.integers(0, 2, 60),
    "several labels": RNG.integers(0, 2, (60, 3)),
    "a number": RNG.standard_normal(60),
    "numbers": RNG.standard_normal((60, 2)),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam", "alpha": 0.5, "epsilon": 1e-3},
    "sgd": {"solver": "sgd", "alpha": 0.0, "learning_rate_init": 0.05},
    "nesterov off": {
        "solver": "sgd",
        "alpha": 1.0,
        "nesterovs_momentum": False,
        "momentum": 0.5,
        "activation": "tanh",
    },
    "no momentum": {"solver": "sgd", "momentum": 0.0, "activation": "logistic"},
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def targets(task: str) -> np.ndarray:
    """y as the model takes it."""
    y = Y[task]
    if y.dtype.kind == "U":
        return np.unique(y, return_inverse=True)[1].astype(np.int64)
    return y if task == "two classes" else y.astype(np.float64)


def fitted(task: str, **settings: Any) -> Any:
    cls = MLPRegressor if "number" in task else MLPClassifier
    return cls(
        hidden_layer_sizes=(7, 4), batch_size=20, shuffle=False, max_iter=5, random_state=0, **settings
    ).fit(X, Y[task])


def predictions(model: bp.Model, estimator: Any) -> tuple[np.ndarray, np.ndarray]:
    """Of the model, of the estimator."""
    if hasattr(estimator, "classes_"):
        return model.predict_proba(X), estimator.predict_proba(X)
    return model.predict(X).squeeze(), estimator.predict(X)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("task", Y)
def test_training_goes_on(task: str, name: str) -> None:
    """Five epochs there, then 100 steps on both sides."""
    estimator = fitted(task, **SETTINGS[name])
    model = bp.from_sklearn(estimator)
    assert model.dtype == np.float64
    np.testing.assert_allclose(*predictions(model, estimator), rtol=1e-12, atol=1e-14)
    for _ in range(34):
        estimator.partial_fit(X, Y[task])
    model.fit(X, targets(task), epochs=34, batch_size=20, shuffle=False)
    for i, coef in enumerate(estimator.coefs_):
        np.testing.assert_allclose(model.state_dict()[f"{2 * i}.weight"].T, coef, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(*predictions(model, estimator), rtol=1e-8, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger")
@pytest.mark.parametrize("cls", [MLPRegressor, ours.MLPRegressor])
@pytest.mark.parametrize("early", [False, True])
def test_batches_larger_than_the_data(cls: Any, early: bool) -> None:
    """Both libraries take all rows then, of which early stopping sets some aside: alpha counts over these."""
    estimator = cls(
        hidden_layer_sizes=(3,), batch_size=500, alpha=0.3, early_stopping=early, max_iter=3, random_state=0
    ).fit(X, Y["a number"])
    decay = bp.from_sklearn(estimator).optimizer.groups[0].weight_decay
    assert decay == pytest.approx(0.3 / (54 if early else 60))


@pytest.mark.parametrize("task", Y)
def test_there_and_back(task: str) -> None:
    model = bp.from_sklearn(fitted(task, activation="tanh"))
    estimator = model.to_sklearn()
    np.testing.assert_allclose(*predictions(model, estimator), rtol=1e-12)
    assert type(estimator).__module__.startswith("sklearn.")
    again = bp.from_sklearn(estimator)
    assert all(np.array_equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))
    before = [coef.copy() for coef in estimator.coefs_]
    estimator.partial_fit(X, targets(task))
    assert not np.array_equal(estimator.coefs_[0], before[0])
    assert np.array_equal(again.parameters()[0].T, before[0])


def test_two_logits_are_one_there() -> None:
    model = bp.Model(
        nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2)),
        "cross_entropy",
        optim.SGD(0.1),
    )
    estimator = model.to_sklearn()
    assert (estimator.solver, estimator.learning_rate_init, estimator.n_outputs_) == ("sgd", 0.1, 1)
    x = X.astype(np.float32)
    np.testing.assert_allclose(estimator.predict_proba(x), model.predict_proba(x), rtol=1e-5)
    assert np.array_equal(estimator.predict(x), model.predict_classes(x))


def test_counts() -> None:
    model = bp.Model(nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 1)), "poisson", dtype="float64")
    estimator = model.to_sklearn()
    np.testing.assert_allclose(estimator.predict(X), np.exp(model.predict(X)[:, 0]), rtol=1e-12)
    assert bp.from_sklearn(estimator).loss.kind == "poisson"


def test_lbfgs_goes_on_with_adam() -> None:
    model = bp.from_sklearn(
        MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", alpha=0, max_iter=5).fit(X, Y["a number"]),
        backend="numpy",
    )
    assert repr(model.optimizer) == "Adam(lr=0.001, eps_hat=True)"
    assert model.backend.name == "numpy"
    model.fit(X, Y["a number"], epochs=2)


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "lbfgs"])
def test_estimators_of_backpass_to_models(solver: str) -> None:
    """With their moments: partial_fit and fit from there are one and the same, but for the last bits."""
    cls = ours.MLPClassifier if solver == "adamw" else ours.MLPRegressor
    y = Y["three classes"] if solver == "adamw" else Y["a number"]
    settings = {
        "alpha": 0.3 if solver in ("adam", "sgd") else 0.0,
        "batch_norm": solver == "sgd",
        "layer_norm": True,
    }
    estimator = cls(
        hidden_layer_sizes=(6,),
        solver=solver,
        batch_size=20,
        shuffle=False,
        max_iter=3,
        random_state=0,
        **settings,
    ).fit(X, y)
    model = estimator.to_model()
    np.testing.assert_allclose(*predictions(model, estimator), rtol=1e-12)
    assert repr(bp.from_sklearn(estimator).net) == repr(model.net)
    if solver == "lbfgs":
        return
    model.fit(
        X,
        targets("three classes" if solver == "adamw" else "a number"),
        epochs=10,
        batch_size=20,
        shuffle=False,
    )
    for _ in range(10):
        estimator.partial_fit(X, y)
    np.testing.assert_allclose(*predictions(model, estimator), rtol=1e-8, atol=1e-10)


def test_to_model_with_other_arguments() -> None:
    estimator = ours.MLPClassifier((6,), max_iter=3, random_state=0).fit(X, Y["three classes"])
    model = estimator.to_model(optimizer="sgd", backend="numpy")
    assert repr(model.optimizer) == "SGD(lr=0.001)"
    other = estimator.to_model(threads=1)
    assert np.array_equal(other.engine.optimizer_state["m"], estimator.to_model().engine.optimizer_state["m"])
    before = estimator.coefs_[0].copy()
    model.fit(X, targets("three classes"), epochs=1)
    assert np.array_equal(estimator.coefs_[0], before)
    with pytest.raises(Exception, match="not fitted yet"):
        ours.MLPClassifier().to_model()


def test_a_table_with_categories() -> None:
    rows = np.column_stack([X[:, 0], RNG.integers(0, 3, 60)])
    estimator = ours.MLPRegressor(
        hidden_layer_sizes=(4,), categorical_features=[1], max_iter=4, random_state=0, alpha=0.1
    ).fit(rows, Y["a number"])
    model = estimator.to_model()
    np.testing.assert_allclose(
        model.predict((rows[:, :1], rows[:, 1:].astype(np.int64))).squeeze(),
        estimator.predict(rows),
        rtol=1e-12,
    )


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [nn.Linear(5, 3, bias=False), nn.ReLU(), nn.Linear(3, 1)],
            r"layer '0' is Linear\(5, 3, bias=False\)",
        ),
        ([nn.Linear(5, 3), nn.GELU(), nn.Linear(3, 1)], r"layer '1' is GELU\(\)"),
        (
            [nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1)],
            "the network is Sequential",
        ),
        ([nn.Linear(5, 3), nn.Sigmoid()], "the network is Sequential"),
        ([nn.ReLU()], "layer '0' is ReLU"),
    ],
)
def test_what_scikit_learn_does_not_have(layers: list[nn.Module], message: str) -> None:
    with pytest.raises(
        ValueError, match=f"^to_sklearn: {message}.*expected nn.Linear with biases, and nn.ReLU"
    ):
        bp.Model(nn.Sequential(*layers)).to_sklearn()


def test_what_is_no_fitted_perceptron() -> None:
    with pytest.raises(ValueError, match=r"from_sklearn: MLPClassifier.* is not fitted yet"):
        bp.from_sklearn(MLPClassifier())
    with pytest.raises(
        TypeError, match="from_sklearn: fitted is 3, expected an MLPClassifier or MLPRegressor"
    ):
        bp.from_sklearn(3)
