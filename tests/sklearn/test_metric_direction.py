"""Which way a metric goes: whether more is better."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.metrics import fbeta_score, get_scorer, get_scorer_names, make_scorer

import backpass as bp
from helpers.estimators import LABELS, X, classifier, regressor, y

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


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
