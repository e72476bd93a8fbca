"""What users of the estimators run into, by kind: settings without effect, metrics' directions, data, messages."""

import inspect
import os
import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone, is_classifier
from sklearn.metrics import fbeta_score, get_scorer, get_scorer_names, make_scorer
from sklearn.neural_network import MLPClassifier as TheirMLPClassifier

import backpass as bp
import backpass.sklearn as ours
from backpass import nn, optim
from backpass.sklearn import ELMClassifier, ELMRegressor, MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
rng = np.random.default_rng(0)
X = rng.normal(size=(96, 4))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
LABELS = np.stack([y, 1 - y, X[:, 2] > 0], axis=1).astype(int)


def classifier(**parameters: Any) -> Any:
    return MLPClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


def regressor(**parameters: Any) -> Any:
    return MLPRegressor(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


def elm_classifier(**parameters: Any) -> Any:
    return ELMClassifier(**{"n_hidden": 10, "random_state": 0, **parameters})


def elm_regressor(**parameters: Any) -> Any:
    return ELMRegressor(**{"n_hidden": 10, "random_state": 0, **parameters})


EVERY = {
    "MLPClassifier": classifier, "MLPRegressor": regressor,
    "ELMClassifier": elm_classifier, "ELMRegressor": elm_regressor,
}  # fmt: skip
CLASSIFIERS = {"MLP": classifier, "ELM": elm_classifier}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
classifiers = pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS)


# ---- E: what errors and reprs say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "parameters", "hint"),
    [
        (classifier, {"solver": "Adam"}, "Got 'Adam' instead; did you mean 'adam'?"),
        (classifier, {"solver": "L-BFGS"}, "did you mean 'lbfgs'?"),
        (classifier, {"solver": optim.AdamW()}, "did you mean 'adamw'?"),
        (classifier, {"solver": optim.SGD}, "did you mean 'sgd'?"),
        (classifier, {"activation": "ReLU"}, "did you mean 'relu'?"),
        (classifier, {"activation": "sigmoid"}, "did you mean 'logistic'?"),
        (classifier, {"activation": nn.GELU()}, "did you mean 'gelu'?"),
        (regressor, {"activation": "swish"}, "did you mean 'silu'?"),
        (regressor, {"loss": "mse"}, "did you mean 'squared_error'?"),
        (regressor, {"loss": "Huber"}, "did you mean 'huber'?"),
        (regressor, {"loss": "log_loss"}, "'log_loss' is a loss of MLPClassifier"),
        (classifier, {"loss": "mse"}, "'squared_error' is a loss of MLPRegressor"),
        (classifier, {"loss": "categorical_crossentropy"}, "did you mean 'log_loss'?"),
        (classifier, {"early_stopping": "yes"}, "did you mean True?"),
        (classifier, {"shuffle": "False"}, "did you mean False?"),
        (classifier, {"learning_rate": 0.1}, "did you mean learning_rate_init=0.1?"),
        (classifier, {"learning_rate": "adaptativ"}, "did you mean 'adaptive'?"),
        (classifier, {"learning_rate_init": "0.1"}, "did you mean 0.1?"),
        (classifier, {"lr_schedule": "cosine"}, "optim.schedules.cosine(lr, total_steps)"),
        (classifier, {"max_iter": 1e3}, "did you mean 1000?"),
        (classifier, {"hidden_layer_sizes": "64"}, "did you mean 64?"),
        (classifier, {"batch_size": "32"}, "did you mean 32?"),
        (classifier, {"dtype": np.float32}, "did you mean 'float32'?"),
        (classifier, {"dtype": "f8"}, "did you mean 'float64'?"),
        (classifier, {"backend": "cuda"}, "backpass trains on the CPU"),
        (classifier, {"backend": "Native"}, "did you mean 'native'?"),
        (classifier, {"callbacks": bp.EarlyStopping("loss")}, "did you mean a list of one?"),
        (classifier, {"class_weight": "balance"}, "did you mean 'balanced'?"),
        (classifier, {"eval_metric": "acc"}, "did you mean 'accuracy'?"),
        (regressor, {"eval_metric": "mean_squared_error"}, "did you mean 'neg_mean_squared_error'?"),
        (elm_classifier, {"activation": "ReLU"}, "did you mean 'relu'?"),
        (elm_regressor, {"activation": "swish"}, "did you mean 'silu'?"),
        (elm_regressor, {"solver": "SVD"}, "did you mean 'svd'?"),
        (elm_regressor, {"alpha": "LOO"}, "did you mean 'loo'?"),
        (elm_regressor, {"alpha": "0.1"}, "did you mean 0.1?"),
        (elm_classifier, {"n_hidden": 100.0}, "did you mean 100?"),
    ],
    ids=str,
)  # fmt: skip
def test_a_refused_value_comes_with_what_is_meant(make: Any, parameters: dict[str, Any], hint: str) -> None:
    (name,) = parameters
    with pytest.raises(ValueError, match=f"{name}.*{re.escape(hint)}$"):
        make(**parameters).fit(X, y)


@pytest.mark.parametrize(
    ("kind", "argument", "message"),
    [
        (MLPClassifier, "hidden_layer_size", "did you mean 'hidden_layer_sizes'?"),
        (MLPClassifier, "earlystopping", "did you mean 'early_stopping'?"),
        (MLPClassifier, "epochs", "it is called max_iter"),
        (MLPRegressor, "lr", "it is called learning_rate_init"),
        (MLPRegressor, "optimizer", "it is called solver"),
        (MLPRegressor, "seed", "it is called random_state"),
        (MLPRegressor, "validation_data", "give it to fit as eval_set"),
        (MLPRegressor, "class_weight", "expected ["),
        (ELMClassifier, "n_hiden", "did you mean 'n_hidden'?"),
        (ELMClassifier, "hidden_layer_sizes", "it is called n_hidden"),
        (ELMRegressor, "ridge", "it is called alpha"),
        (ELMRegressor, "max_iter", "one linear solve takes the place of epochs"),
    ],
)
def test_a_parameter_that_there_is_not(kind: Any, argument: str, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(f"{kind.__name__} has no argument {argument!r}")) as error:
        kind(**{argument: 3})
    assert message in str(error.value)
    with pytest.raises(
        ValueError, match=f"Invalid parameter {argument!r} for estimator {kind.__name__}"
    ) as refused:
        kind().set_params(**{argument: 3})
    assert message in str(refused.value) or message == "expected ["


@every
def test_an_argument_of_fit_that_there_is_not(make: Any) -> None:
    for method in ("fit", "partial_fit"):
        with pytest.raises(TypeError, match=rf"^{method}\(\) has no argument 'epochs': "):
            getattr(make(), method)(X, y, epochs=3)
        with pytest.raises(TypeError, match=r"no argument 'sample_weigth'; did you mean 'sample_weight'\?"):
            getattr(make(), method)(X, y, sample_weigth=np.ones(96))


@every
def test_reprs_and_parameters_are_scikit_learns(make: Any) -> None:
    model = make()
    assert (
        repr(model.set_params(activation="elu"))
        .replace("\n", "")
        .startswith(f"{type(model).__name__}(activation='elu', ")
    )
    assert repr(type(model)()) == f"{type(model).__name__}()"
    assert clone(model).get_params() == model.get_params()
    assert type(model).__name__ in model._repr_html_()


def test_the_room_shows_the_estimators_and_no_more() -> None:
    assert dir(ours) == ["ELMClassifier", "ELMRegressor", "MLPClassifier", "MLPRegressor"]
    with pytest.raises(AttributeError, match="no attribute 'MLPClasifier'; did you mean 'MLPClassifier'"):
        ours.MLPClasifier  # noqa: B018


# ---- A: what is set acts, or is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n_hidden", 7), ("activation", "relu"), ("weight_scale", 3.0), ("bias_scale", 0.5), ("fit_intercept", False),
        ("random_state", 5), ("random_state", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("trip", [lambda model: model, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("make", [elm_classifier, elm_regressor], ids=["classifier", "regressor"])
def test_an_elm_cannot_change_a_layer_that_has_taken_in_rows(
    make: Any, parameter: str, value: Any, trip: Any
) -> None:
    start = {"classes": [0, 1]} if make is elm_classifier else {}
    model = trip(make().partial_fit(X[:40], y[:40], **start))
    previous = model.get_params()[parameter]
    answers = model.predict(X)
    model.set_params(**{parameter: value})
    expected = f"{parameter} is {value!r}, expected {previous!r}: partial_fit goes on"
    with pytest.raises(ValueError, match=re.escape(expected)):
        model.partial_fit(X[40:], y[40:])
    assert np.array_equal(model.predict(X), answers)
    whole = make().fit(X, y)
    assert np.allclose(
        model.set_params(**{parameter: previous}).partial_fit(X[40:], y[40:]).coef_, whole.coef_
    )
    again = model.set_params(**{parameter: value}).fit(X, y)
    assert parameter == "random_state" or not np.array_equal(again.predict(X), whole.predict(X))


def test_an_elm_goes_on_with_another_ridge_chunk_solver_backend_and_number_of_threads() -> None:
    model = elm_regressor().partial_fit(X[:40], y[:40])
    model.set_params(alpha=3.0, chunk_size=7, solver="cholesky", backend="numpy", n_threads=1)
    model.partial_fit(X[40:], y[40:])
    assert (model.alpha_, model.solver_) == (3.0, "cholesky")
    assert model.hidden_.backend is bp.get_backend("numpy")
    assert model.hidden_.threads == 1
    assert np.allclose(model.coef_, elm_regressor(alpha=3.0).fit(X, y).coef_)


def test_an_elm_that_has_forgotten_its_rows_cannot_leave_one_out() -> None:
    model = elm_regressor().partial_fit(X[:40], y[:40]).set_params(alpha="loo")
    with pytest.raises(ValueError, match="alpha is 'loo', but partial_fit keeps no rows to leave out"):
        model.partial_fit(X[40:], y[40:])
    chosen = elm_regressor(alpha="loo").partial_fit(X[:40], y[:40]).set_params(alphas=[0.5, 1.0])
    with pytest.raises(ValueError, match=r"alphas is \[0.5, 1.0\], but partial_fit keeps no rows"):
        chosen.partial_fit(X[40:], y[40:])
    assert not hasattr(chosen.set_params(alpha=1.0).fit(X, y), "loo_error_"), "of the fit before"


def parts(model: Any, **changed: Any) -> Any:
    """Two calls of partial_fit, with other parameters in the second."""
    start = {"classes": [0, 1]} if isinstance(model, MLPClassifier) else {}
    return model.partial_fit(X[:40], y[:40], **start).set_params(**changed).partial_fit(X[40:], y[40:])


CHANGES: dict[str, dict[str, Any]] = {
    "activation": {"activation": "tanh"}, "alpha": {"alpha": 10.0}, "batch_norm": {"batch_norm": True},
    "batch_size": {"batch_size": 8}, "beta_1": {"beta_1": 0.1}, "beta_2": {"beta_2": 0.1}, "epsilon": {"epsilon": 0.1},
    "class_weight": {"class_weight": {0: 1.0, 1: 9.0}}, "clip_grad_norm": {"clip_grad_norm": 1e-9, "epsilon": 0.1},
    "dropout": {"dropout": 0.5}, "label_smoothing": {"label_smoothing": 0.4}, "layer_norm": {"layer_norm": True},
    "learning_rate_init": {"learning_rate_init": 0.5}, "loss": {"loss": "focal"}, "shuffle": {"shuffle": False},
    "lr_schedule": {"lr_schedule": 0.5}, "a schedule": {"lr_schedule": optim.schedules.step(0.5, 9, 0.5)},
    "a callable": {"lr_schedule": lambda epoch: 0.5}, "random_state": {"random_state": 7},
    "solver": {"solver": "sgd"}, "weight_decay": {"weight_decay": 0.5}, "dtype": {"dtype": "float32"},
}  # fmt: skip


@pytest.mark.parametrize("going_on", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_parameter_of_an_mlp_acts_from_the_next_call_on(change: str, going_on: str) -> None:
    def trained(**changed: Any) -> Any:
        if going_on == "partial_fit":
            return parts(classifier(batch_size=16), **changed)
        return classifier(batch_size=16, warm_start=True).fit(X, y).set_params(**changed).fit(X, y)

    changed, plain = trained(**CHANGES[change]), trained()
    assert not np.array_equal(changed.coefs_[0], plain.coefs_[0])
    assert np.isfinite(changed.loss_)


@pytest.mark.parametrize(
    ("changed", "rate"),
    [
        ({"learning_rate_init": 0.5}, 0.5),
        ({"learning_rate": "invscaling"}, 0.1 / 97**0.5),
        ({"learning_rate": "invscaling", "power_t": 1.0}, 0.1 / 97),
        ({"lr_schedule": 0.25}, 0.25),
        ({"lr_schedule": lambda epoch: 0.125 * epoch}, 0.125),
        ({"momentum": 0.1}, 0.1),
    ],
)
def test_the_rate_follows_its_parameters(changed: dict[str, Any], rate: float) -> None:
    model = parts(regressor(solver="sgd", learning_rate_init=0.1), **changed)
    assert model._network.model.lr == pytest.approx(rate)
    model.set_params(learning_rate="constant", lr_schedule=None, learning_rate_init=0.2).partial_fit(X, y)
    assert model._network.model.lr == 0.2


def test_a_rate_that_has_fallen_stays_so_in_the_next_partial_fit_and_after_a_pickle() -> None:
    model = regressor(solver="sgd", learning_rate="invscaling").partial_fit(X, y)
    rate = model._network.model.lr
    assert rate < 1e-3
    again = pickle.loads(pickle.dumps(model))
    for one in (model, again):
        one.partial_fit(X, y)
    assert np.array_equal(model.coefs_[0], again.coefs_[0])
    assert again._network.model.lr < rate


@classifiers
@pytest.mark.parametrize(
    ("weights", "target"),
    [
        ({0: 0, 1: 0}, y), ({0: 0.0, 1: 0.0}, y > 0), ({"a": 0, "b": 0}, np.where(y, "a", "b")),
        ({0: 0, 1: 0, 2: 0}, np.arange(96) % 3), ([{0: 0, 1: 0}, {}, {}], LABELS),
    ],
    ids=["numbers", "bools", "strings", "three", "labels"],
)  # fmt: skip
def test_class_weight_that_is_all_zero_is_refused(make: Any, weights: Any, target: Any) -> None:
    model = make(class_weight=weights)
    message = r"class_weight(\[0\])? is \{.*, which makes the weight of every row zero"
    with pytest.raises(ValueError, match=message):
        model.fit(X, target, sample_weight=np.ones(96))
    with pytest.raises(ValueError, match=message):
        make(class_weight=weights).partial_fit(
            X, target, classes=np.arange(3) if target.ndim > 1 else np.unique(target)
        )


@classifiers
def test_weights_that_leave_no_row_name_what_did_it(make: Any) -> None:
    with pytest.raises(
        ValueError, match=r"class_weight is .*, which makes the weight zero of every row whose"
    ):
        make(class_weight={0: 0, 1: 1}).fit(X, y, sample_weight=(y == 0).astype(float))
    with pytest.raises(ValueError, match=r"^sample_weight is zero for every row"):
        make(class_weight={0: 1, 1: 2}).fit(X, y, sample_weight=np.zeros(96))
    with pytest.raises(ValueError, match=r"^sample_weight is zero for every row"):
        make(class_weight="balanced").fit(X, y, sample_weight=np.zeros(96))
    with pytest.raises(ValueError, match=r"class_weight\[1\] is \{0: -1\}, expected numbers of at least 0"):
        make(class_weight=[{}, {0: -1}, {}]).fit(X, LABELS)
    with pytest.raises(
        ValueError, match=r"class_weight is .*, expected None, 'balanced' or a list of 3 dicts"
    ):
        make(class_weight=[{0: 1}, {0: 1}]).fit(X, LABELS)
    with pytest.raises(
        ValueError, match=r"class_weight is .*, expected None, 'balanced' or a list of 3 dicts"
    ):
        make(class_weight={0: 1, 1: 2}).fit(X, LABELS)


@classifiers
def test_balanced_classes_may_be_absent(make: Any) -> None:
    """A class of weight 0, and a label that no row has."""
    three = np.arange(96) % 3
    balanced = make(class_weight="balanced").fit(X, three, sample_weight=(three < 2).astype(float))
    assert np.isfinite(balanced.predict_proba(X)).all()
    labels = np.column_stack([y, np.zeros_like(y)])
    assert np.isfinite(make(class_weight="balanced").fit(X, labels).predict_proba(X)).all()


def test_rows_held_out_have_some_weight() -> None:
    weight = np.zeros(96)
    weight[0] = 1
    with pytest.raises(ValueError, match="is zero for all rows that early_stopping=True holds out"):
        classifier(early_stopping=True).fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match="is zero for all rows that early_stopping=True holds out"):
        regressor(early_stopping=True).fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("rate", [10.0, 1e300], ids=["gradient", "update"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_terminate_on_nan_ends_quietly_with_the_last_good_weights(early_stopping: bool, rate: float) -> None:
    options = {
        "solver": "sgd", "activation": "identity", "learning_rate_init": rate, "batch_size": 96 if rate < 11 else 24,
        "max_iter": 50, "early_stopping": early_stopping, "validation_fraction": 0.5,
    }  # fmt: skip
    if early_stopping:
        options["batch_size"] = 24
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = regressor(callbacks=[bp.TerminateOnNaN()], **options).fit(1e2 * X, 1e8 * y)
    assert np.isfinite(model.predict(X)).all()
    assert len(model.loss_curve_) == model.n_iter_ < 50
    if early_stopping:
        assert np.array_equal(
            model.coefs_[0], regressor(callbacks=[Plain()], **options).fit(1e2 * X, 1e8 * y).coefs_[0]
        )
        return
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*step"):
        regressor(**options).fit(1e2 * X, 1e8 * y)
    epochs = model.n_iter_
    assert epochs == (3 if rate < 11 else 0)
    if epochs:
        until = regressor(**options | {"max_iter": epochs}).fit(1e2 * X, 1e8 * y)
        assert np.array_equal(model.coefs_[0], until.coefs_[0])


class Plain(bp.Callback):
    """A callback of the user's."""


@pytest.mark.parametrize(
    "callback",
    [
        bp.EarlyStopping("loss"), bp.ReduceLROnPlateau("loss"), bp.EarlyStopping("loss", mode="max"),
        bp.ModelCheckpoint("unused.safetensors", monitor="loss"), bp.EarlyStopping(),
    ],
    ids=repr,
)  # fmt: skip
def test_partial_fit_has_no_epochs_to_compare(callback: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"callbacks\[1\] is {type(callback).__name__}, which compares epochs"
    ):
        regressor(callbacks=[Plain(), callback]).partial_fit(X, y)


def test_a_rate_that_is_set_each_epoch_cannot_be_reduced() -> None:
    plateau = bp.ReduceLROnPlateau("loss")
    with pytest.raises(
        ValueError, match=r"callbacks\[0\] is ReduceLROnPlateau, but learning_rate='invscaling'"
    ):
        regressor(solver="sgd", learning_rate="invscaling", callbacks=[plateau]).fit(X, y)
    with pytest.raises(
        ValueError, match="is ReduceLROnPlateau, but lr_schedule, a callable, sets the learning"
    ):
        regressor(lr_schedule=lambda epoch: 0.1, callbacks=[plateau]).fit(X, y)
    with pytest.raises(ValueError, match="ReduceLROnPlateau: the optimizer has a schedule"):
        regressor(lr_schedule=optim.schedules.step(0.1, 9, 0.5), callbacks=[plateau]).fit(X, y)


def test_two_cannot_both_keep_their_best_weights() -> None:
    stopping = bp.EarlyStopping("loss", patience=99)
    with pytest.raises(
        ValueError, match=r"callbacks\[0\] is EarlyStopping.*by 'loss', but early_stopping=True"
    ):
        classifier(early_stopping=True, callbacks=[stopping]).fit(X, y)
    for allowed in (
        bp.EarlyStopping("loss", patience=99, restore_best=False),
        bp.EarlyStopping("val_accuracy", 99),
    ):
        model = classifier(early_stopping=True, callbacks=[allowed], max_iter=9).fit(X, y)
        assert np.array_equal(
            model.coefs_[0], classifier(early_stopping=True, max_iter=9).fit(X, y).coefs_[0]
        )


def test_a_solver_that_leave_one_out_does_not_use_is_refused() -> None:
    with pytest.raises(ValueError, match="solver is 'cholesky', but alpha='loo' takes eigenvalues"):
        elm_regressor(alpha="loo", solver="cholesky").fit(X, y)


def test_a_callable_loss_says_which_weights_it_cannot_use() -> None:
    def loss(logits: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.0, np.zeros_like(logits)

    for name, model, fit in (
        ("class_weight", classifier(loss=loss, class_weight="balanced"), {}),
        ("sample_weight", classifier(loss=loss), {"sample_weight": np.ones(96)}),
    ):
        with pytest.raises(ValueError, match=f"^{name} is given, but the loss is a callable"):
            model.fit(X, y, **fit)


def test_a_callback_begins_afresh_in_each_fit() -> None:
    stopping = bp.EarlyStopping("loss", patience=2, mode="max")
    model = regressor(max_iter=50, callbacks=[stopping])
    epochs = [model.fit(X, y).n_iter_ for _ in range(2)]
    assert epochs == [3, 3], "the first epoch and two that are no better"


def test_other_callbacks_act(tmp_path: Path) -> None:
    written, monitor = tmp_path / "log.csv", bp.GradientMonitor()
    checkpoint = bp.ModelCheckpoint(tmp_path / "run.safetensors")
    model = regressor(callbacks=[bp.CSVLogger(written), monitor, checkpoint]).fit(X, y, eval_set=(X, y))
    assert written.read_text().splitlines()[0].split(",") == ["epoch", "loss", "val_r2", "lr"]
    assert len(written.read_text().splitlines()) == 4
    loaded = bp.load(tmp_path / "run.safetensors")
    assert np.allclose(loaded.predict(X)[:, 0], model.predict(X))


# ---- C: which way a metric goes ----------------------------------------------------------------------------------------

KINDS: dict[str, tuple[Any, np.ndarray]] = {
    "two classes": (classifier, y),
    "labels": (classifier, LABELS),
    # Positive outputs, as some of the metrics want them.
    "numbers": (lambda **parameters: regressor(loss="poisson", **parameters), np.exp(X[:, 0])),
}
# A bumpy way that goes up and down for every metric.
BUMPY: dict[str, Any] = {
    "max_iter": 12, "learning_rate_init": 0.3, "batch_size": 16, "n_iter_no_change": 99, "hidden_layer_sizes": (8,),
}  # fmt: skip


def judged_by(metric: str) -> Any:
    """Estimator, targets and values of the epochs for a kind of y that the metric is for."""
    scorer = get_scorer(metric)
    for make, target in KINDS.values():
        model = make(eval_metric=metric, **BUMPY)
        try:
            values = model.fit(X[:64], target[:64], eval_set=(X[64:], target[64:])).evals_result_
        except ValueError:
            continue
        (values,) = values["validation_0"].values()
        signed = scorer._sign * np.array(values)
        if np.isfinite(values).all() and scorer(model, X[64:], target[64:]) == pytest.approx(signed[-1]):
            return make, target, values, scorer
    raise AssertionError(f"{metric} is for no kind of y")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("metric", get_scorer_names())
def test_callbacks_go_the_way_of_scikit_learns_scorers(metric: str, tmp_path: Path) -> None:
    """A greater score is better, says the scorer: of what is reported, less may be."""
    make, target, values, scorer = judged_by(metric)
    name = "val_" + metric.removeprefix("neg_")
    path = tmp_path / "best.safetensors"

    def trained(*callbacks: Any) -> Any:
        model = make(eval_metric=metric, callbacks=list(callbacks), **BUMPY)
        return model.fit(X[:64], target[:64], eval_set=(X[64:], target[64:]))

    stopping = bp.EarlyStopping(name, patience=99)
    model = trained(stopping, bp.ModelCheckpoint(path, monitor=name))
    scores = scorer._sign * np.array(values)
    assert scorer(model, X[64:], target[64:]) == pytest.approx(scores.max())
    assert np.allclose(model._network.model.predict(X), bp.load(path).predict(X))
    # The first epoch is the best so far, and each epoch that is not better divides the rate by 2.
    plateau = bp.ReduceLROnPlateau(name, factor=0.5, patience=1, min_delta=0.0)
    rates = Recorder("lr", name)
    trained(plateau, rates)
    recorded = scorer._sign * np.array(rates.values[name])
    better = [bool(np.all(recorded[:epoch] < recorded[epoch])) for epoch in range(len(recorded))]
    halvings = np.cumsum(~np.array(better))
    assert np.allclose(rates.values["lr"][1:], 0.3 * 0.5 ** halvings[:-1])


class Recorder(bp.Callback):
    """Keeps some of the logs."""

    def __init__(self, *names: str) -> None:
        self.values: dict[str, list[float]] = {name: [] for name in names}

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        for name, values in self.values.items():
            values.append(logs[name])


def distance(true: np.ndarray, predicted: np.ndarray) -> float:
    """A metric of the user's, of which less is better."""
    return float(np.abs(true - predicted).mean())


@pytest.mark.parametrize("greater", [True, False])
def test_callbacks_go_the_way_of_a_scorer_that_was_made(greater: bool) -> None:
    scorer = make_scorer(distance, greater_is_better=greater)
    model = classifier(eval_metric=scorer, callbacks=[bp.EarlyStopping("val_distance", patience=99)], **BUMPY)
    model.fit(X[:64], y[:64], eval_set=[(X[64:], y[64:]), (X, y)])
    values = model.evals_result_["validation_0"]["distance"]
    assert min(values) < max(values)
    assert distance(y[64:], model.predict(X[64:])) == (max if greater else min)(values)
    second = clone(model).set_params(callbacks=[bp.EarlyStopping("val_1_distance", patience=99)])
    second.fit(X[:64], y[:64], eval_set=[(X[64:], y[64:]), (X, y)])
    values = second.evals_result_["validation_1"]["distance"]
    assert distance(y, second.predict(X)) == (max if greater else min)(values)


class Distance:
    """A metric that has no name."""

    def __call__(self, true: np.ndarray, predicted: np.ndarray) -> float:
        return distance(true, predicted)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (distance, "distance"), (lambda true, predicted: 0.0, "<lambda>"), (Distance(), "Distance"),
        (fbeta_score, "fbeta_score"), (np.vdot, "vdot"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "monitor",
    [
        bp.EarlyStopping,
        bp.ReduceLROnPlateau,
        lambda name: bp.ModelCheckpoint("unused.safetensors", monitor=name),
    ],
)
def test_a_callable_of_unknown_direction_asks_for_a_mode(metric: Any, name: str, monitor: Any) -> None:
    """Before the first step."""
    model = classifier(eval_metric=metric, callbacks=[monitor(f"val_{name}")])
    with pytest.raises(
        ValueError, match=re.escape(f"monitor is 'val_{name}', of which less or more")
    ) as error:
        model.fit(X, y, eval_set=(X, y))
    assert "mode='min'" in str(error.value)
    assert (model.n_iter_, model.loss_curve_) == (0, [])


def test_a_mode_says_which_way_a_callable_goes() -> None:
    for mode, best in (("min", min), ("max", max)):
        stopping = bp.EarlyStopping("val_distance", patience=99, mode=mode)
        model = classifier(eval_metric=distance, callbacks=[stopping], **BUMPY).fit(X, y, eval_set=(X, y))
        assert distance(y, model.predict(X)) == best(model.evals_result_["validation_0"]["distance"])


@pytest.mark.parametrize(
    ("callback", "options", "message"),
    [
        (bp.EarlyStopping(), {}, r"monitor is 'val_loss', .* only \['loss', 'lr'\]; fit\(eval_set=...\) logs 'val_'"),
        (bp.EarlyStopping("val_acuracy"), {"early_stopping": True}, "did you mean 'val_accuracy'"),
        (bp.EarlyStopping("val_loss"), {"early_stopping": True}, "eval_metric='neg_log_loss' .* logs a loss"),
        (bp.ReduceLROnPlateau("val_r2"), {}, r"ReduceLROnPlateau: monitor is 'val_r2'.*; fit\(eval_set=...\)"),
        (bp.ModelCheckpoint("unused", monitor="Loss"), {}, "ModelCheckpoint: .*; did you mean 'loss'"),
        (bp.EarlyStopping("accuracy"), {"early_stopping": True}, "did you mean 'val_accuracy'"),
    ],
)  # fmt: skip
def test_a_monitor_that_no_epoch_logs_is_told_in_the_estimators_words(
    callback: Any, options: dict[str, Any], message: str
) -> None:
    model = classifier(callbacks=[callback], **options)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert model.loss_curve_ == []


# ---- D: data as people have them ---------------------------------------------------------------------------------------


def frame(**columns: Any) -> Any:
    """The four columns of X and others."""
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(dict(zip("abcd", X.T, strict=True)) | columns)


def nullable(values: Any, dtype: str) -> Any:
    return pytest.importorskip("pandas").array(values, dtype=dtype)


TRAIN: dict[str, Callable[[], Any]] = {
    "bool and float": lambda: frame(e=y > 0),
    "dummies": lambda: pytest.importorskip("pandas").get_dummies(frame(e=np.where(y, "u", "v"))),
    "int and float": lambda: frame(e=y),
    "Float64": lambda: frame().astype("Float64"),
    "Int64": lambda: frame(e=nullable(y, "Int64")),
    "boolean": lambda: frame(e=nullable(y > 0, "boolean")),
    "Float32 and boolean": lambda: frame().astype("Float32").assign(e=nullable(y > 0, "boolean")),
    "category of numbers": lambda: frame(e=pytest.importorskip("pandas").Categorical(y)),
    "numbers as objects": lambda: frame(e=y.astype(object)),
    "polars": lambda: pytest.importorskip("polars").DataFrame({"a": X[:, 0], "b": y > 0}),
}


@pytest.mark.parametrize("form", TRAIN)
@every
def test_frames_that_train(make: Any, form: str) -> None:
    table = TRAIN[form]()
    model = make().fit(table, y)
    numbers = np.column_stack([np.asarray(table[name], dtype=float) for name in table.columns])
    plain = make().fit(numbers, y)
    assert np.allclose(model.predict(table), plain.predict(numbers), atol=1e-4)
    assert list(model.feature_names_in_) == list(table.columns)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "strings": (lambda: frame(e=np.where(y, "u", "v")), "X: column 'e' has dtype .*OneHotEncoder"),
    "categories": (
        lambda: frame(e=pytest.importorskip("pandas").Categorical(np.where(y, "u", "v"))),
        "X: column 'e' has dtype object, .*OneHotEncoder",
    ),
    "dates": (
        lambda: frame(e=pytest.importorskip("pandas").date_range("2020", periods=96)),
        "X: column 'e' has dtype datetime64",
    ),
    "a missing integer": (
        lambda: frame(e=nullable([None, *y[1:]], "Int64")), "NaN(.|\n)*X: column 'e' .*(nan|no value) at row 0"
    ),
    "a missing boolean": (
        lambda: frame(e=nullable([*(y[1:] > 0), None], "boolean")), "NaN(.|\n)*X: column 'e' .*(nan|no value) at row 95"
    ),
    "a missing float": (
        lambda: frame(e=np.where(np.arange(96) == 5, np.nan, 1)), "NaN(.|\n)*X: column 'e' holds nan at row 5"
    ),
    "a missing object": (lambda: frame(e=[None, *y[1:].astype(object)]), "X: column 'e' .*(nan|no value) at row 0"),
    "infinity": (lambda: frame(e=np.where(y, np.inf, 1)), "infinity(.|\n)*X: column 'e' holds inf"),
    "mixed": (lambda: frame(e=np.array([1, "a"] * 48, dtype=object)), "X: column 'e' has dtype object"),
    "lists": (lambda: frame(e=[[1, 2]] * 96), "X: column 'e' has dtype object"),
    "no columns": (lambda: frame().iloc[:, :0], "X has no columns"),
    "polars": (
        lambda: pytest.importorskip("polars").DataFrame({"a": X[:, 0], "b": ["u"] * 96}),
        "X: column 'b' has dtype",
    ),
    "a generator": (lambda: (row for row in X), "X is a generator, .*partial_fit"),
    "a loader": (lambda: iter([(X, y)]), "X is a list_iterator, .*partial_fit"),
}  # fmt: skip


@pytest.mark.parametrize("form", REFUSED)
@every
def test_frames_that_are_refused_name_the_column(make: Any, form: str) -> None:
    table, message = REFUSED[form]
    with pytest.raises((TypeError, ValueError), match=message):
        make().fit(table(), y)


@every
def test_predict_and_eval_set_name_the_column_too(make: Any) -> None:
    broken = frame(e=np.where(np.arange(96) == 5, np.nan, 1.0))
    model = make().fit(frame(e=y), y)
    with pytest.raises(ValueError, match="X: column 'e' holds nan at row 5"):
        model.predict(broken)
    if "MLP" in type(model).__name__:
        with pytest.raises(ValueError, match=r"eval_set\[0\]: (.|\n)*X: column 'e' holds nan at row 5"):
            model.fit(frame(e=y), y, eval_set=(broken, y))


@pytest.mark.parametrize("make", [regressor, elm_regressor])
def test_the_y_of_a_regressor_is_told_what_it_holds(make: Any) -> None:
    pandas = pytest.importorskip("pandas")
    for names in (np.where(y, "u", "v"), pandas.Series(np.where(y, "u", "v")), ["u", "v"] * 48):
        with pytest.raises(ValueError, match=r"y has dtype .*, expected numbers"):
            make().fit(X, names)
    with pytest.raises(ValueError, match=r"y .*(nan|no value) at row 0"):
        make().fit(X, pandas.Series(nullable([None, *y[1:]], "Int64")))


@classifiers
def test_labels_as_people_have_them(make: Any) -> None:
    pandas = pytest.importorskip("pandas")
    names = np.where(y, "u", "v")
    for labels in (
        pandas.Series(names),
        pandas.Series(names, dtype="string"),
        pandas.Categorical(names),
        list(names),
    ):
        assert set(make().fit(X, labels).predict(X)) <= {"u", "v"}
    for labels in (
        y > 0,
        y.astype(np.uint8),
        nullable(y, "Int64"),
        nullable(y > 0, "boolean"),
        y.astype(float),
    ):
        model = make().fit(X, labels)
        theirs = TheirMLPClassifier(max_iter=1).fit(X, labels)
        assert model.classes_.dtype == theirs.classes_.dtype
        assert np.array_equal(model.classes_, theirs.classes_)
    for onehot in (np.eye(2, dtype=int)[y], np.eye(2)[y] > 0, LABELS.astype(float)):
        assert make().fit(X, onehot).predict(X).shape == onehot.shape
    with pytest.raises(ValueError, match=r"Unknown label type(.|\n)*y has dtype object, .*y.astype\(int\)"):
        make().fit(X, y.astype(object))


class Tensor:
    """What PyTorch's tensor that requires grad does where NumPy asks for its numbers."""

    requires_grad, shape, ndim = True, (96, 4), 2

    def __len__(self) -> int:
        return 96

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


@every
def test_a_tensor_that_requires_grad(make: Any) -> None:
    with pytest.raises(TypeError, match=r"X is a tensor that requires grad, expected X.detach\(\)"):
        make().fit(Tensor(), y)


# ---- D: what partial_fit takes, in which order -------------------------------------------------------------------------


@every
def test_the_third_argument_is_sample_weight(make: Any) -> None:
    weight = np.linspace(0.1, 2, 96)
    for method in ("fit", "partial_fit"):
        assert [*inspect.signature(getattr(make(), method)).parameters][:3] == ["X", "y", "sample_weight"]
    start = {"classes": [0, 1]} if is_classifier(make()) else {}
    by_place, by_name = (
        make().partial_fit(X, y, weight, **start),
        make().partial_fit(X, y, sample_weight=weight, **start),
    )
    plain = make().partial_fit(X, y, **start)
    same = [np.array_equal(by_place.predict(X), other.predict(X)) for other in (by_name,)]
    assert same == [True]
    coefs = [
        getattr(model, "coef_", getattr(model, "coefs_", [None])[0]) for model in (by_place, by_name, plain)
    ]
    assert np.array_equal(coefs[0], coefs[1])
    assert not np.array_equal(coefs[0], coefs[2])


@classifiers
@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (y, [0, 1]), (y, np.array([0, 1, 2])), (y > 0, [False, True]), (np.where(y, "u", "v"), ["u", "v"]),
        (np.where(y, "u", "v").astype(object), np.array(["u", "v"], object)), (LABELS, np.arange(3)),
        (np.where(y, "u", "v")[:2], ["u", "v"]),
    ],
    ids=["list", "three", "bools", "strings", "objects", "labels", "as many as rows"],
)  # fmt: skip
def test_classes_in_the_place_of_weights(make: Any, target: Any, classes: Any) -> None:
    """As in the classifiers of scikit-learn that are no MLPs."""
    with pytest.raises(
        ValueError, match=r"sample_weight holds .*, which look like classes: .*classes=\.\.\."
    ):
        make().partial_fit(X[: len(target)], target, classes)


@classifiers
@pytest.mark.parametrize(
    "weight",
    [np.ones(96), np.linspace(0.1, 2, 96), np.arange(96) % 2.0, np.where(y, 0.5, 2.0), [1.0, 2.0] * 48],
)
def test_weights_in_the_place_of_classes(make: Any, weight: Any) -> None:
    with pytest.raises(
        ValueError, match=r"classes holds .*, which look like weights: .*sample_weight=\.\.\."
    ):
        make().partial_fit(X, y, None, weight)


@classifiers
def test_classes_and_weights_that_are_none_of_these(make: Any) -> None:
    wide = np.arange(96) % 3
    make().partial_fit(X, y.astype(float), classes=y.astype(float))
    make().partial_fit(X, y, classes=y)
    make().partial_fit(X[:2], [1.0, 2.0], classes=[1.0, 2.0])
    make().partial_fit(X[:3], [1.0, 1.0, 2.0], classes=[1.0, 2.0, 3.0])
    make().partial_fit(X, wide, 2.0, [0, 1, 2]).partial_fit(X, wide, wide > 0)
    with pytest.raises(ValueError, match="classes"):
        make().partial_fit(X, y, np.ones(96))
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(95,\), expected \(96,\)"):
        make().partial_fit(X, y, np.ones(95), [0, 1])


@classifiers
def test_a_part_of_the_rows_may_weigh_nothing(make: Any) -> None:
    """As it may where all rows come at once."""
    model = make(class_weight={0: 0.0, 1: 1.0}).partial_fit(X, y, classes=[0, 1])
    one_class = y == 0
    model.partial_fit(X[one_class], y[one_class]).partial_fit(X, y, np.zeros(96))
    assert np.isfinite(model.predict_proba(X)).all()
    if make is elm_classifier:
        assert np.allclose(model.coef_, make(class_weight={0: 0.0, 1: 1.0}).fit(X, y).coef_)
        with pytest.raises(ValueError, match=r"class_weight is .*, which makes the weight of every row zero"):
            make(class_weight={0: 0.0}).partial_fit(X[one_class], y[one_class], classes=[0, 1])


def test_a_regressor_takes_a_part_that_weighs_nothing() -> None:
    for make in (regressor, elm_regressor):
        model = make().partial_fit(X, y)
        assert np.isfinite(model.partial_fit(X, y, np.zeros(96)).predict(X)).all()
        with pytest.raises(ValueError, match="sample_weight is zero for every row"):
            make().fit(X, y, np.zeros(96))
    with pytest.raises(ValueError, match="sample_weight is zero for every row"):
        elm_regressor().partial_fit(X, y, np.zeros(96))


@pytest.mark.parametrize("make", [classifier, regressor])
def test_a_batch_of_one_row_names_what_to_change(make: Any) -> None:
    for size in (95, 1, 19, 5):
        with pytest.raises(
            ValueError, match=f"batch_size is {size}, which makes a batch of one row out of 96"
        ):
            make(batch_norm=True, batch_size=size).fit(X, y)
    with pytest.raises(ValueError, match=r"batch_size is 43, .* out of 87, but batch_norm=True"):
        make(batch_norm=True, batch_size=43, early_stopping=True, validation_fraction=9 / 96).fit(X, y)
    with pytest.warns(UserWarning, match=r"batch_size.*clipped"):
        make(batch_size=1000).fit(X, y)


@every
@pytest.mark.parametrize("weight", ["balanced", {0: 1.0, 1: 2.0}], ids=str)
def test_weights_of_classes_are_no_sample_weight(make: Any, weight: Any) -> None:
    with pytest.raises(
        TypeError, match=r"sample_weight is .*, expected a number for each row; .* class_weight"
    ):
        make().fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("pairs", [X, [X, y], (X, y, y), {"test": (X, y)}, "test"], ids=type)
def test_an_eval_set_is_a_tuple_or_a_list_of_tuples(pairs: Any) -> None:
    with pytest.raises(ValueError, match=r"eval_set is \w+, expected a pair \(X, y\), which is a tuple"):
        classifier().fit(X, y, eval_set=pairs)
