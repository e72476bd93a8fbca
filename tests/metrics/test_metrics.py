"""The metrics that go by names: values as scikit-learn computes them, and as their formulas say; what is refused."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn

RNG = np.random.default_rng(0)
ROWS = 60
WEIGHT = RNG.integers(1, 4, ROWS) / 2


class Given(nn.Module):
    """A network that gives its input."""

    def forward(self, x: Any) -> Any:
        return x * 1.0


class Logarithm(nn.Module):
    """NaN of what is below 0."""

    def forward(self, x: Any) -> Any:
        return x.log()


def evaluated(pred: np.ndarray, y: Any, loss: Any, metrics: Any, **options: Any) -> dict[str, float]:
    model = bp.Model(Given(), loss, metrics=metrics, dtype="float64", backend="numpy")
    return model.evaluate(pred, y, **options)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


weights = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])


@weights
@pytest.mark.parametrize("outputs", [1, 3])
def test_numbers_as_in_sklearn(outputs: int, weight: Any) -> None:
    scores = pytest.importorskip("sklearn.metrics")
    y, pred = RNG.normal(size=(2, ROWS, outputs))
    y[:, -1] += pred[:, -1]
    found = evaluated(pred, y, "mse", ["mae", "mse", "rmse", "r2"], sample_weight=weight)
    mse = scores.mean_squared_error(y, pred, sample_weight=weight)
    assert found["mae"] == pytest.approx(scores.mean_absolute_error(y, pred, sample_weight=weight))
    assert found["mse"] == pytest.approx(mse)
    assert found["mse"] == pytest.approx(found["loss"])
    assert found["rmse"] == pytest.approx(mse**0.5)
    assert found["r2"] == pytest.approx(scores.r2_score(y, pred, sample_weight=weight))


@weights
@pytest.mark.parametrize("kind", ["one output", "two outputs", "three classes", "labels"])
def test_classes_as_in_sklearn(kind: str, weight: Any) -> None:
    scores = pytest.importorskip("sklearn.metrics")
    columns = {"one output": 1, "two outputs": 2, "three classes": 3, "labels": 3}[kind]
    pred = RNG.normal(size=(ROWS, columns))
    if kind != "three classes":  # some rows tie
        pred = np.round(pred, 1)
    if kind in ("one output", "labels"):
        y, guess, score = RNG.integers(0, 2, (ROWS, columns)), (pred > 0).astype(int), pred
        if columns == 1:
            y, guess = y[:, 0], guess[:, 0]
        loss = "bce_with_logits"
    else:
        y, guess, loss = RNG.integers(0, columns, ROWS), pred.argmax(axis=1), "cross_entropy"
        score = np.exp(pred) / np.exp(pred).sum(axis=1, keepdims=True)
        score = pred[:, 1] - pred[:, 0] if columns == 2 else score
    names = ["precision", "recall", "f1", "precision_macro", "recall_macro", "f1_macro", "auc"]
    found = evaluated(pred, y, loss, names, sample_weight=weight)
    options = {"sample_weight": weight, "zero_division": 0.0}
    for name in ("precision", "recall", "f1"):
        compute = getattr(scores, f"{name}_score")
        binary = kind in ("one output", "two outputs")
        assert found[name] == pytest.approx(
            compute(y, guess, average="binary" if binary else "macro", **options)
        )
        assert found[f"{name}_macro"] == pytest.approx(compute(y, guess, average="macro", **options))
    ovr = {"multi_class": "ovr"} if kind == "three classes" else {}
    assert found["auc"] == pytest.approx(scores.roc_auc_score(y, score, sample_weight=weight, **ovr))


@weights
def test_top_k(weight: Any) -> None:
    pred, y = RNG.normal(size=(ROWS, 7)), RNG.integers(0, 7, ROWS)
    found = evaluated(pred, y, "cross_entropy", ["top_1", "top_3", "top_7"], sample_weight=weight)
    among = (np.argsort(-pred, axis=1)[:, :3] == y[:, None]).any(axis=1)
    assert found["top_3"] == pytest.approx(np.average(among, weights=weight))
    assert found["top_1"] == pytest.approx(found["accuracy"])
    assert found["top_7"] == 1
    # Of equal outputs the first count.
    assert evaluated(np.zeros((ROWS, 7)), y, "cross_entropy", ["top_2"])["top_2"] == pytest.approx(
        (y < 2).mean()
    )


def test_targets_that_are_probabilities_or_ignored_or_log_probabilities() -> None:
    pred, y = RNG.normal(size=(ROWS, 3)), RNG.integers(0, 3, ROWS)
    names = ["f1", "auc", "top_2"]
    plain = evaluated(pred, y, "cross_entropy", names)
    soft = np.full((ROWS, 3), 0.1)
    soft[np.arange(ROWS), y] = 0.8
    weighted_loss = nn.CrossEntropyLoss(weight=[1.0, 2.0, 5.0])
    log_probabilities = pred - np.log(np.exp(pred).sum(axis=1, keepdims=True))
    others = [
        evaluated(pred, soft, "cross_entropy", names), evaluated(pred, soft, weighted_loss, names),
        evaluated(log_probabilities, y, "nll", names),
    ]  # fmt: skip
    for found in others:
        assert {name: found[name] for name in names} == pytest.approx({name: plain[name] for name in names})
    ignoring = nn.CrossEntropyLoss(ignore_index=-1)
    some = np.where(np.arange(ROWS) % 3 == 0, -1, y)
    known = some >= 0
    found = evaluated(pred, some, ignoring, names)
    expected = evaluated(pred[known], y[known], "cross_entropy", names)
    assert {name: found[name] for name in names} == pytest.approx({name: expected[name] for name in names})


def test_what_cannot_be_said_is_nan() -> None:
    pred = RNG.normal(size=(4, 1))
    found = evaluated(pred, np.ones(4), "bce_with_logits", ["auc", "recall", "f1"])
    assert np.isnan(found["auc"])
    assert found["recall"] == (pred > 0).mean()
    for loss, name in (("bce_with_logits", "auc"), ("bce_with_logits", "f1"), ("mse", "mae")):
        model = bp.Model(Logarithm(), loss, metrics=[name], backend="numpy")
        assert np.isnan(model.evaluate(np.array([[-1.0], [1.0]]), [0, 1])[name])
    constant = evaluated(np.ones((4, 1)), np.ones(4), "mse", ["r2"])
    assert constant["r2"] == 1


def test_functions_get_targets_outputs_and_weights() -> None:
    pred, y = RNG.normal(size=(ROWS, 3)), RNG.integers(0, 3, ROWS)
    seen: list[Any] = []

    def share(y: Any, pred: Any, sample_weight: Any = None) -> Any:
        seen.append((y, pred, sample_weight))
        return np.average(pred.argmax(axis=1) == y, weights=sample_weight)

    found = evaluated(pred, y, "cross_entropy", [share, ("again", share)], sample_weight=WEIGHT)
    assert found["share"] == found["again"] == pytest.approx(found["accuracy"])
    assert np.array_equal(seen[0][0], y)
    assert np.array_equal(seen[0][1], pred)
    assert np.array_equal(seen[0][2], WEIGHT)
    assert evaluated(pred, y, "cross_entropy", [share])["share"] == pytest.approx(
        (pred.argmax(axis=1) == y).mean()
    )
    assert seen[-1][2] is None


def test_outputs_of_a_loss_that_is_a_callable_or_an_expression() -> None:
    pred, y = RNG.normal(size=(2, ROWS, 2))

    def mean_square(pred: Any, y: Any) -> Any:
        return ((pred - y) ** 2).mean(), 2 * (pred - y) / pred.size

    for loss in (mean_square, nn.traced(lambda pred, y: ((pred - y) ** 2).mean())):
        found = evaluated(pred, y, loss, ["mse", ("width", lambda y, pred: pred.shape[1])])
        assert found["mse"] == pytest.approx(found["loss"])
        assert found["width"] == 2
        with pytest.raises(
            ValueError, match=r"metrics has 'mse', but a row of y is \(1,\) and one of .* \(2,\)"
        ):
            evaluated(pred, y[:, :1], loss, ["mse"])


REFUSED = [
    ("mse", "mae", TypeError, "metrics is 'mae', expected a list such as"),
    ("mse", 3, TypeError, "metrics is 3, expected a list"),
    ("mse", ["rmze"], ValueError, r"metrics\[0\] is 'rmze', expected one of .*did you mean 'rmse'"),
    ("mse", ["mean_absolute_error"], ValueError, "here it is 'mae'"),
    ("mse", ["mae", 4], TypeError, r"metrics\[1\] is 4, expected a name such as 'mae', a function"),
    ("mse", ["mae", "mae"], ValueError, r"metrics\[1\] is called 'mae', which is taken"),
    ("mse", [lambda y, pred: 0.0], ValueError, r"metrics\[0\] is <function .* no name for the history"),
    ("mse", [("loss", len)], ValueError, "called 'loss', which is taken in the logs"),
    ("mse", ["f1"], ValueError, r"'f1', which needs targets that are classes, but the loss is MSELoss\(\)"),
    ("mse", ["accuracy"], ValueError, "'accuracy', which needs targets that are classes"),
    ("cross_entropy", ["mae"], ValueError, "'mae', which needs targets that are numbers"),
    ("poisson", ["mae"], ValueError, "'mae', which needs targets that are numbers"),
    ("bce_with_logits", ["top_2"], ValueError, "'top_2', which needs targets that are class indices"),
    (lambda pred, y: (0.0, pred), ["auc"], ValueError, "'auc', .* but the loss is a callable"),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "metrics", "error", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refusals(loss: Any, metrics: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        bp.Model(nn.Linear(2, 2), loss, metrics=metrics)
    model = bp.Model(nn.Linear(2, 2), loss)
    with pytest.raises(error, match=message):
        model.metrics = metrics
    assert model.metrics == []


def test_accuracy_may_be_asked_for() -> None:
    pred, y = RNG.normal(size=(ROWS, 3)), RNG.integers(0, 3, ROWS)
    assert [*evaluated(pred, y, "cross_entropy", ["accuracy"])] == ["loss", "accuracy"]


def test_refused_before_the_first_step() -> None:
    model = bp.Model(nn.Linear(2, 3), "cross_entropy", metrics=["top_4"])
    X, y = RNG.normal(size=(8, 2)), np.arange(8) % 3
    with pytest.raises(ValueError, match="metrics has 'top_4', but the network has 3 outputs"):
        model.fit(X, y)
    model.metrics = [("own", lambda y, pred: 0.0)]
    with pytest.raises(
        ValueError, match="'own', a function without an argument sample_weight, but class_weight is given"
    ):
        model.fit(X, y, class_weight="balanced")
    with pytest.raises(ValueError, match="an argument sample_weight, but sample_weight is given"):
        model.fit(X, y, validation_data=(X, y, np.ones(8)))
    with pytest.raises(ValueError, match="an argument sample_weight, but sample_weight is given"):
        model.evaluate(X, y, sample_weight=np.ones(8))
    assert not model.engine.step_count[0]
    model.metrics = [("own", lambda y, pred: "good")]
    with pytest.raises(TypeError, match="metric 'own' returned 'good', expected one number"):
        model.fit(X, y)
