"""What partial_fit and fit take, in which order."""

import inspect
import os
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import is_classifier

from helpers.estimators import (
    LABELS,
    X,
    classifier,
    classifiers,
    elm_classifier,
    elm_regressor,
    every,
    regressor,
    y,
)

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


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


@pytest.mark.parametrize(
    "pairs", [X, [X, y], (X, y, y), {"test": (X, y)}, "test"], ids=["X", "list", "three", "dict", "str"]
)
def test_an_eval_set_is_a_tuple_or_a_list_of_tuples(pairs: Any) -> None:
    with pytest.raises(ValueError, match=r"eval_set is \w+, expected a pair \(X, y\), which is a tuple"):
        classifier().fit(X, y, eval_set=pairs)
