"""Mistakes that users of the MLP estimators make: the error names the argument; and what looks like one but is none."""

import os
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.neural_network import MLPClassifier as TheirMLPClassifier

import backpass as bp
from backpass.optim import schedules
from backpass.sklearn import ELMClassifier, ELMRegressor, MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
X, y = load_iris(return_X_y=True)
LABELS = np.stack([y == 0, y > 0, X[:, 0] > 6], axis=1).astype(int)
BAD = np.where(X > 7, np.nan, X)


def classifier(**parameters: Any) -> Any:
    return MLPClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


def regressor(**parameters: Any) -> Any:
    return MLPRegressor(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


# ---- class_weight ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({99: 5.0}, r"class_weight names \[99\], expected classes of \[0, 1, 2\]"),
        ({0: 1.0, "1": 5.0}, r"class_weight names \['1'\], expected classes of \[0, 1, 2\]"),
        ({0: -5.0}, r"class_weight is \{0: -5.0\}, expected numbers of at least 0"),
        ({0: np.nan}, r"class_weight is \{0: nan\}, expected numbers"),
        ([{0: 1.0}, {1: 2.0}], r"class_weight is \[\{0: 1.0\}.*, expected None, 'balanced' or"),
    ],
)
def test_class_weight_says_which_class_there_is_not(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(class_weight=weights).fit(X, y)


def test_class_weight_need_not_name_all_classes_nor_all_occur() -> None:
    heavy = {0: 2.0, 2: 5.0}
    named = classifier(class_weight=heavy).fit(X, y)
    same = classifier().fit(X, y, sample_weight=np.array([2.0, 1.0, 5.0])[y])
    assert named.loss_curve_ == same.loss_curve_
    two = classifier(class_weight=heavy).partial_fit(
        X[:100], y[:100], classes=[0, 1, 2]
    )  # class 2 comes later
    assert (
        two.loss_ == classifier().partial_fit(X[:100], y[:100], np.where(y[:100], 1.0, 2.0), [0, 1, 2]).loss_
    )
    classifier(class_weight={0: 1.0, 1: 1.0, 2: 1.0}).fit(X[:100], y[:100])  # a fold without class 2


@pytest.mark.parametrize("target", [y, LABELS], ids=["classes", "labels"])
@pytest.mark.parametrize(
    "estimator",
    [
        classifier(class_weight="balanced", alpha=0.0),
        ELMClassifier(20, class_weight="balanced", random_state=0),
    ],
    ids=["MLP", "ELM"],
)
def test_balanced_classes_count_an_integer_weight_as_so_many_rows(estimator: Any, target: Any) -> None:
    times = np.random.default_rng(0).integers(0, 4, 150) * (np.arange(150) > 20)
    repeated = [np.repeat(array, times, axis=0) for array in (X, target)]
    one, other = clone(estimator), clone(estimator)
    if isinstance(estimator, MLPClassifier):
        one.set_params(batch_size=150)
        other.set_params(batch_size=int(times.sum()))
    one.fit(X, target, times)
    other.fit(*repeated)
    for p, q in (
        zip(one.coefs_, other.coefs_, strict=True) if hasattr(one, "coefs_") else [(one.coef_, other.coef_)]
    ):
        np.testing.assert_allclose(p, q, rtol=1e-6, atol=1e-8)


# ---- eval_set and eval_metric ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((X[:, :2], y), r"eval_set\[1\]: X has 2 features, but MLPClassifier is expecting 4"),
        ((X, y[:-1]), r"eval_set\[1\]: .*\[150, 149\]"),
        ((BAD, y), r"eval_set\[1\]: Input X contains NaN"),
        ((X, np.where(y, np.nan, 0)), r"eval_set\[1\]: Input y contains NaN"),
        ((X, LABELS), r"eval_set\[1\]: y has 3 outputs, expected 1"),
    ],
)
def test_a_bad_eval_set_is_named_before_an_epoch(pair: Any, message: str, early_stopping: bool) -> None:
    model = classifier(early_stopping=early_stopping)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, eval_set=[(X, y), pair])
    assert model.n_iter_ == 0


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("acc", "eval_metric is 'acc': .*not a valid scoring"),
        ("roc_auc", r"eval_metric is 'roc_auc', which fails on eval_set\[0\]: multi_class must be"),
        (lambda true, pred: np.ones(3), r"eval_metric '<lambda>' returned array.*, expected a number"),
        (lambda true, pred: None, "eval_metric '<lambda>' returned None, expected a number"),
    ],
)
def test_a_bad_metric_is_named(metric: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        classifier(eval_metric=metric).fit(X, y, eval_set=(X, y))


def test_the_metric_may_be_a_scorer_object() -> None:
    scorer = make_scorer(fbeta_score, beta=2, average="macro")
    model = classifier(eval_metric=scorer).fit(X, y, eval_set=(X, y))
    assert model.evals_result_["validation_0"]["fbeta_score"][-1] == scorer(model, X, y)
    errors = make_scorer(lambda true, pred: float((true != pred).mean()), greater_is_better=False)
    model = classifier(eval_metric=errors).fit(X, y, eval_set=(X, y))
    assert model.evals_result_["validation_0"]["<lambda>"][-1] == pytest.approx(1 - model.score(X, y))


def test_labels_in_a_sparse_matrix() -> None:
    thin = sparse.csr_matrix(LABELS)
    model = classifier(early_stopping=True).fit(X, thin, eval_set=(X, thin))
    theirs = TheirMLPClassifier((5,), max_iter=3, random_state=0).fit(X, thin)
    assert type(model.predict(X)) is type(theirs.predict(X))
    assert model.predict(X).shape == LABELS.shape
    split, dense = (classifier(early_stopping=True).fit(X, labels) for labels in (thin, LABELS))
    assert split.validation_scores_ == dense.validation_scores_
    assert (
        model.validation_scores_
        == classifier(early_stopping=True).fit(X, LABELS, eval_set=(X, LABELS)).validation_scores_
    )


def test_a_fit_without_eval_set_leaves_no_values_of_the_fit_before() -> None:
    model = classifier().fit(X, y, eval_set=(X, y))
    assert hasattr(model, "evals_result_")
    assert not hasattr(model.fit(X, y), "evals_result_")


# ---- parameters that do not go together --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"solver": "lbfgs", "weight_decay": 0.1}, "weight_decay is 0.1, but solver='lbfgs' has no steps"),
        ({"solver": "lbfgs", "clip_grad_norm": 1.0}, "clip_grad_norm is 1.0, but solver='lbfgs'"),
        (
            {"solver": "lbfgs", "lr_schedule": schedules.constant(0.1)},
            "lr_schedule is 0.1, but solver='lbfgs'",
        ),
        (
            {"solver": "sgd", "learning_rate": "adaptive", "lr_schedule": schedules.step(0.1, 9, 0.5)},
            "lr_schedule is step.*, but learning_rate is 'adaptive'",
        ),
        (
            {"solver": "sgd", "learning_rate": "invscaling", "lr_schedule": lambda epoch: 0.1},
            "lr_schedule is .*, but learning_rate is 'invscaling'",
        ),
        ({"loss": bp.nn.MSELoss()}, "loss is MSELoss, .*: expected CrossEntropyLoss"),
        ({"loss": bp.nn.HingeLoss()}, "loss is HingeLoss, .*: expected CrossEntropyLoss"),
        (
            {"loss": bp.nn.CrossEntropyLoss(), "label_smoothing": 0.1},
            "label_smoothing is 0.1, but the loss is an object",
        ),
        ({"loss": lambda p, t: (0.0, p), "label_smoothing": 0.1}, "label_smoothing is 0.1, but the loss is"),
    ],
)
def test_parameters_without_effect_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(**parameters).fit(X, y)


def test_a_constant_schedule_is_a_learning_rate() -> None:
    a = classifier(lr_schedule=schedules.constant(0.1)).fit(X, y)
    assert a.loss_curve_ == classifier(learning_rate_init=0.1).fit(X, y).loss_curve_


@pytest.mark.parametrize("rate", [None, -1.0, np.nan])
def test_a_schedule_that_gives_no_rate_is_named(rate: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"lr_schedule returned {rate} for epoch 0, expected a finite number"
    ):
        classifier(lr_schedule=lambda epoch: rate).fit(X, y)


@pytest.mark.parametrize("target", [X[:, 0], np.array([1, "a"] * 75, dtype=object)])
def test_targets_that_are_no_classes(target: Any) -> None:
    with pytest.raises(ValueError, match=r"Unknown label type: (continuous|unknown)"):
        classifier().fit(X, target)


@pytest.mark.parametrize("estimator", [regressor(), ELMRegressor(5)])
def test_a_regressor_wants_dense_targets(estimator: Any) -> None:
    with pytest.raises(TypeError, match="y is a csr_matrix, expected a dense array"):
        estimator.fit(X, sparse.csr_matrix(X[:, :2]))


@pytest.mark.parametrize("estimator", [classifier(), regressor(), ELMClassifier(5), ELMRegressor(5)])
def test_after_a_refused_fit_there_is_no_model(estimator: Any) -> None:
    refused = clone(estimator)
    with pytest.raises(ValueError, match="sample_weight"):
        refused.fit(X, y, sample_weight=np.ones(3))
    with pytest.raises(NotFittedError):
        refused.predict(X)


def test_a_schedule_may_stand_beside_a_learning_rate_that_only_sgd_reads() -> None:
    a, b = (
        classifier(learning_rate=mode, lr_schedule=lambda epoch: 0.01) for mode in ("adaptive", "constant")
    )
    assert a.fit(X, y).loss_curve_ == b.fit(X, y).loss_curve_


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_smoothing_leaves_the_split_stratified(smoothing: float) -> None:
    rare = np.zeros(150, int)
    rare[:20] = 1
    seen = []

    class Watcher(bp.Callback):
        def on_train_begin(self, logs: Any) -> None:
            seen.append(self.params["rows"])

    model = classifier(early_stopping=True, label_smoothing=smoothing, callbacks=[Watcher()])
    model.fit(X, rare)
    assert seen == [135]
    with pytest.raises(ValueError, match="least populated class"):
        model.fit(X, np.arange(150) == 3)


@pytest.mark.parametrize("rows", [2, 3, 201, 399, 401])
def test_batch_norm_meets_no_batch_of_one_row_by_itself(rows: int) -> None:
    many, target = np.resize(X, (rows, 4)), np.resize([0, 1], rows)
    assert np.isfinite(classifier(batch_norm=True).fit(many, target).loss_)
    with pytest.raises(ValueError, match="batch_size"):
        classifier(batch_norm=True, batch_size=rows - 1).fit(many, target)


# ---- going on with what there is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(7,), (5, 5)])
def test_another_network_cannot_go_on(sizes: tuple[int, ...]) -> None:
    warm = classifier(warm_start=True).fit(X, y).set_params(hidden_layer_sizes=sizes)
    with pytest.raises(
        ValueError, match=r"hidden_layer_sizes is \(.*expected \[5\]: partial_fit and warm_start"
    ):
        warm.fit(X, y)
    parts = regressor().partial_fit(X, X[:, 0])
    with pytest.raises(ValueError, match="y has 2 outputs, expected 1: partial_fit"):
        parts.partial_fit(X, X[:, :2])
    assert parts.predict(X).shape == (150,)
    assert parts.n_outputs_ == 1


def test_a_warm_start_may_change_the_solver_and_what_it_judges_by() -> None:
    model = classifier(warm_start=True, solver="lbfgs").fit(X, y)
    first = model.loss_
    model.set_params(solver="adam", learning_rate_init=1e-4).fit(X, y)
    assert model.loss_curve_[0] == pytest.approx(first, rel=1e-3)
    model.set_params(early_stopping=True).fit(X, y)
    assert len(model.loss_curve_) == 6
    assert len(model.validation_scores_) == 3
    assert model.best_loss_ is None
    model.set_params(early_stopping=False).partial_fit(X, y)
    assert model.best_loss_ == model.loss_curve_[-1]
    assert model.validation_scores_ is None


def test_a_callable_schedule_counts_the_epochs_of_partial_fit() -> None:
    asked: list[int] = []

    def rate(epoch: int) -> float:
        asked.append(epoch)
        return 0.1 / (1 + epoch)

    model = classifier(lr_schedule=rate)
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert asked == [0, 1, 2]


def test_partial_fit_in_blocks_is_partial_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of core: the buffers do not grow with the rows of a call, and none of them is kept."""
    from backpass.sklearn.mlp import network as mlp_network

    whole = classifier(batch_size=20).partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    monkeypatch.setattr(mlp_network, "BLOCK_BYTES", 8 * 8 * 4 * 50)  # eight buffers of two batches and a bit
    blocks = classifier(batch_size=20).partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    assert blocks.loss_curve_ == whole.loss_curve_
    (kept,) = blocks._network.epochs.values()
    assert kept.feed.inputs.array("x").shape == (40, 4)
    assert kept.data is None
