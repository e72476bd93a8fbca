"""What the MLP estimators add to scikit-learn's: options, losses, watching, weights that go on; predictions in threads."""

import os
import pickle
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import backpass as bp
from backpass.sklearn import MLPClassifier, MLPRegressor
from backpass.sklearn.mlp.solver import STOCHASTIC

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16, y[:400]
rows, held = slice(0, 300), slice(300, 400)


def fitted(estimator: Any = MLPClassifier, **parameters: Any) -> Any:
    return estimator(**{"hidden_layer_sizes": (16,), "random_state": 0, "max_iter": 6, **parameters}).fit(
        X, y
    )


# ---- what is new -----------------------------------------------------------------------------------------------------


def one_against_all(pred: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Binary cross entropy of logits, summed over the classes."""
    value = np.logaddexp(0, pred) - target * pred
    return float(value.sum() / len(pred)), (1 / (1 + np.exp(-pred)) - target) / len(pred)


RATES = {"sgd": 0.1, "adagrad": 0.05, "lion": 0.002}  # the others learn with Adam's
LEARNS: dict[str, dict[str, Any]] = {
    **{solver: {"solver": solver, "learning_rate_init": RATES.get(solver, 0.01)} for solver in STOCHASTIC},
    "dropout": {"dropout": 0.2},
    "batch_norm": {"batch_norm": True},
    "layer_norm, residual": {"layer_norm": True, "residual": True, "hidden_layer_sizes": (16, 16)},
    "gelu": {"activation": "gelu"},
    "focal": {"loss": "focal"},
    "focal object": {"loss": bp.nn.FocalLoss(gamma=1.0)},
    "label smoothing": {"label_smoothing": 0.1},
    "class_weight": {"class_weight": "balanced"},
    "clipped": {"clip_grad_norm": 0.5},
    "schedule": {"lr_schedule": bp.optim.schedules.one_cycle(0.02, 30 * 15)},
    "callable schedule": {"lr_schedule": lambda epoch: 0.02 / (1 + epoch / 10)},
    "callable loss": {"loss": one_against_all},
    "numpy": {"backend": "numpy"},
    "one thread": {"n_threads": 1},
}  # fmt: skip


@pytest.mark.parametrize("what", LEARNS)
def test_options_learn(what: str) -> None:
    options = {"learning_rate_init": 0.01, "max_iter": 30, "batch_size": 20, **LEARNS[what]}
    model = MLPClassifier(**{"hidden_layer_sizes": (16,), "random_state": 0, **options}).fit(X[rows], y[rows])
    assert model.score(X[held], y[held]) > 0.8
    proba = model.predict_proba(X[held])
    assert np.allclose(proba.sum(axis=1), 1)
    assert np.array_equal(model.classes_[proba.argmax(axis=1)], model.predict(X[held]))
    clone(model)


def test_regression_losses() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (500, 1))
    target = 2 * x[:, 0] + rng.exponential(1, 500)
    below = {}
    for name, loss in {
        "absolute_error": "absolute_error", "mae": "mae", "huber": "huber", "quantile": "quantile",
        "0.9": bp.nn.QuantileLoss(0.9),
    }.items():  # fmt: skip
        model = MLPRegressor(loss, (8,), learning_rate_init=0.02, max_iter=60, random_state=0).fit(x, target)
        below[name] = float((target < model.predict(x)).mean())
    assert below["absolute_error"] == below["mae"]
    assert below["quantile"] == pytest.approx(0.5, abs=0.06)
    assert below["mae"] == pytest.approx(0.5, abs=0.06)
    assert below["0.9"] == pytest.approx(0.9, abs=0.04)
    assert below["huber"] > 0.5  # between median and mean
    with pytest.raises(ValueError, match=r"y holds .*loss='poisson'"):
        MLPRegressor("poisson").fit(x, target - 10)


@pytest.mark.parametrize("solver", ["lbfgs", "adam", "sgd"])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_weight_is_a_number_of_rows_and_zero_is_none(estimator: Any, solver: str) -> None:
    """Where a batch holds all rows; alpha counts against as many rows as the weights say."""
    times = np.random.default_rng(0).integers(0, 4, 100)
    settings: dict[str, Any] = {"solver": solver, "alpha": 0.1, "shuffle": False, "max_iter": 15}
    made = estimator(hidden_layer_sizes=(8,), random_state=0, batch_size=100, **settings)
    weighted = clone(made).fit(X[:100], y[:100], sample_weight=times)
    made.set_params(batch_size=int(times.sum())).fit(*(np.repeat(a[:100], times, axis=0) for a in (X, y)))
    for one, other in zip(weighted.coefs_, made.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)
    assert weighted.loss_ == pytest.approx(made.loss_, rel=1e-9)


def test_options_change_what_they_should() -> None:
    plain = fitted()
    assert fitted(label_smoothing=0.2).predict_proba(X).max() < plain.predict_proba(X).max() + 1e-12
    assert fitted(dropout=0.3).loss_ != plain.loss_
    assert fitted(backend="numpy").loss_ == pytest.approx(plain.loss_, rel=1e-9)
    assert fitted(n_threads=1).loss_curve_ == plain.loss_curve_
    heavy = fitted(class_weight={c: 50.0 if c == 3 else 1.0 for c in range(10)})
    assert (heavy.predict(X) == 3).sum() > (plain.predict(X) == 3).sum()
    same = fitted(class_weight=dict.fromkeys(range(10), 1.0))
    assert np.allclose(same.loss_curve_, plain.loss_curve_, rtol=1e-12)


def test_callable_loss_is_penalised_like_the_others() -> None:
    def half_squares(pred: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        return float(((pred - target) ** 2).sum() / 2 / len(pred)), (pred - target) / len(pred)

    a, b = (fitted(MLPRegressor, loss=loss, alpha=5.0) for loss in ("squared_error", half_squares))
    assert np.allclose(a.loss_curve_, b.loss_curve_, rtol=1e-9)


def test_eval_set_and_metric() -> None:
    pairs = [(X[rows], y[rows]), (X[held], y[held])]
    model = MLPClassifier((16,), max_iter=5, random_state=0, eval_metric="neg_log_loss")
    model.fit(X[rows], y[rows], eval_set=pairs)
    values = model.evals_result_["validation_1"]["log_loss"]
    assert len(values) == 5
    picked = model.predict_proba(X[held])[np.arange(100), y[held]]
    assert values[-1] == pytest.approx(-np.log(picked).mean())

    def errors(true: Any, pred: Any) -> float:
        return float((true != pred).sum())

    model.set_params(eval_metric=errors).fit(X[rows], y[rows], eval_set=pairs[1])
    assert model.evals_result_["validation_0"]["errors"][-1] == errors(y[held], model.predict(X[held]))
    model.set_params(early_stopping=True, eval_metric=None).fit(X[rows], y[rows], eval_set=pairs[1])
    assert model.t_ == 5 * 300, "with an eval_set no rows are held out"
    assert model.validation_scores_ == model.evals_result_["validation_0"]["accuracy"]
    assert model.score(X[held], y[held]) == model.best_validation_score_


def test_callbacks_hear_and_stop() -> None:
    class Watcher(bp.Callback):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.seen.append((epoch, dict(logs)))
            self.model.stop_training = epoch == 2

    watcher = Watcher()
    model = fitted(callbacks=[watcher], early_stopping=True)
    assert model.n_iter_ == 3
    assert [epoch for epoch, _ in watcher.seen] == [0, 1, 2]
    assert watcher.seen[-1][1] == {
        "loss": model.loss_,
        "val_accuracy": model.validation_scores_[-1],
        "lr": 0.001,
    }


def test_callbacks_may_be_any_objects_and_hear_within_an_epoch() -> None:
    seen: list[int] = []

    class Plain:
        def on_slice_end(self, step: int, logs: Any) -> None:
            assert logs["loss"] > 0
            seen.append(step)

        def pace(self) -> int:
            return 3

        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.model.stop_training = True  # type: ignore[attr-defined]

    for options in ({}, {"loss": one_against_all}):
        seen.clear()
        watched = fitted(callbacks=[Plain()], batch_size=50, **options)
        assert seen[-1] == 8
        assert max(np.diff([0, *seen])) <= 3
        assert watched.loss_curve_ == fitted(batch_size=50, max_iter=1, **options).loss_curve_


def test_divergence_keeps_the_best_weights_or_raises() -> None:
    options: dict[str, Any] = {
        "solver": "sgd",
        "learning_rate_init": 30.0,
        "activation": "identity",
        "early_stopping": True,
    }
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model = fitted(MLPRegressor, **options)
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(X)).all()


def test_early_stopping_never_leaves_worse_weights() -> None:
    model = fitted(early_stopping=True, warm_start=True, max_iter=20)
    best, weights = model.best_validation_score_, [c.copy() for c in model.coefs_]
    model.set_params(solver="sgd", learning_rate_init=1e-9, max_iter=2).fit(X, y)  # which improves nothing
    assert model.best_validation_score_ == best
    assert all(np.array_equal(a, b) for a, b in zip(model.coefs_, weights, strict=True))


def test_ctrl_c_ends_the_run_with_what_there_is() -> None:
    class Impatient(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = fitted(callbacks=[Impatient()])
    assert (model.n_iter_, len(model.loss_curve_)) == (2, 2)
    assert model.predict(X).shape == (400,)


@pytest.mark.parametrize(
    ("parameters", "fit", "message"),
    [
        ({"solver": "lbfgs", "dropout": 0.1}, {}, "dropout is 0.1, but solver='lbfgs'"),
        ({"solver": "lbfgs"}, {"eval_set": (X, y)}, "eval_set is given, but solver='lbfgs'"),
        ({"loss": bp.nn.NLLLoss()}, {}, "loss is NLLLoss"),
        ({}, {"eval_set": 3}, "eval_set is int, expected a pair"),
        ({"dropout": 1.5}, {}, "'dropout' parameter of MLPClassifier must be a float"),
        ({"loss": lambda p, t: (0, p), "class_weight": "balanced"}, {}, "the loss is a callable"),
    ],
)
def test_refusals(parameters: dict[str, Any], fit: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**parameters).fit(X, y, **fit)
    with pytest.raises(ValueError, match="expected BCEWithLogitsLoss"):
        MLPClassifier(loss=bp.nn.CrossEntropyLoss()).fit(X, y > 4)
    with pytest.raises(TypeError, match=r"callbacks\[0\]"):
        MLPClassifier(callbacks=[print]).fit(X, y)


# ---- going on, and threads --------------------------------------------------------------------------------------


def test_warm_start_keeps_the_moments() -> None:
    through = fitted(shuffle=False, max_iter=6)
    halves = fitted(shuffle=False, max_iter=3, warm_start=True).fit(X, y)
    assert np.allclose(halves.loss_curve_, through.loss_curve_, rtol=1e-12)
    assert halves.n_iter_ == 3
    other = halves.set_params(solver="rmsprop").fit(X, y)  # another optimizer goes on from the weights alone
    assert other.loss_curve_[-1] < other.loss_curve_[0]


def test_weights_from_outside_count() -> None:
    model = fitted()
    before = model.predict_proba(X)
    model.coefs_[0][...] = 0
    assert not np.allclose(model.predict_proba(X), before)
    model.coefs_ = [np.zeros_like(c) for c in model.coefs_]
    model.intercepts_ = [np.zeros_like(b) for b in model.intercepts_]
    assert np.allclose(model.predict_proba(X), 0.1)


def test_predict_in_many_threads() -> None:
    model = pickle.loads(pickle.dumps(fitted(batch_norm=True)))
    right = fitted(batch_norm=True).predict_proba(X)
    wrong: list[int] = []

    def work() -> None:
        wrong.extend(i for i in range(30) if not np.array_equal(model.predict_proba(X), right))

    crew = [threading.Thread(target=work) for _ in range(4)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    assert not wrong
