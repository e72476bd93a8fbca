"""What is set on an estimator acts, or is refused."""

import os
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import backpass as bp
from backpass import optim
from backpass.sklearn import MLPClassifier
from helpers.estimators import LABELS, X, classifier, classifiers, elm_classifier, elm_regressor, regressor, y

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


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
