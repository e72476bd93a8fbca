"""scikit-learn's own checks on the network estimators, which feed tables: as they are, and as images or sequences of one row."""

import os
import traceback
import warnings
from collections.abc import Iterator
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from sklearn.utils.validation import validate_data

from backpass.sklearn import CNNClassifier, RNNClassifier, RNNRegressor

pytestmark = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="once is enough: no kernel is tested here"
)


class TakesTables:
    """An estimator with tables (N, F) as images (N, 1, 1, F) or sequences (N, 1, F): all but the reading of X is its own."""

    def _rows(self: Any, X: Any, y: Any, reset: bool) -> Any:
        options = {} if y is None else {"y": y, "multi_output": True}
        table = validate_data(self, X, **options, reset=reset, dtype=np.float64)
        table = table[0] if isinstance(table, tuple) else table
        rows = super()._rows(np.ascontiguousarray(table)[:, None], y, reset)  # type: ignore[misc]
        self.n_features_in_ = table.shape[1]
        return rows


class SaysTables:
    """The tag without which scikit-learn leaves all checks out."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, False
        return tags


class CNNOfTables(SaysTables, TakesTables, CNNClassifier): ...


class RNNOfTables(SaysTables, TakesTables, RNNClassifier): ...


class RNNRegressorOfTables(SaysTables, TakesTables, RNNRegressor): ...


class PlainCNN(SaysTables, CNNClassifier): ...


class PlainRNN(SaysTables, RNNClassifier): ...


class PlainRNNRegressor(SaysTables, RNNRegressor): ...


QUICK: dict[str, Any] = {
    "learning_rate_init": 0.01, "max_iter": 60, "batch_size": 32, "dtype": "float64", "random_state": 0,
}  # fmt: skip


@parametrize_with_checks(
    [CNNOfTables((8,), **QUICK), RNNOfTables(8, **QUICK), RNNRegressorOfTables(8, cell="gru", **QUICK)]
)
def test_scikit_learn_agrees(estimator: Any, check: Any) -> None:
    check(estimator)


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came from."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


@pytest.mark.parametrize(
    ("model", "reading"),
    [
        (PlainCNN((4,), max_iter=2, random_state=0), "as_images"),
        (PlainRNN(4, max_iter=2, random_state=0), "as_sequences"),
        (PlainRNNRegressor(4, max_iter=2, random_state=0), "as_sequences"),
    ],
    ids=["CNNClassifier", "RNNClassifier", "RNNRegressor"],
)
def test_checks_that_feed_tables_fail_at_the_reading_of_x(model: Any, reading: str) -> None:
    """Whatever fails of the estimator as it is fails because a table is refused, and nothing else does."""
    passed, refused = set(), set()
    for estimator, check in estimator_checks_generator(model):
        function = check
        while hasattr(function, "func"):
            function = function.func
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(estimator)
            passed.add(function.__name__)
        except SkipTest:
            continue
        except Exception as error:
            places = [
                frame.name for one in causes(error) for frame in traceback.extract_tb(one.__traceback__)
            ]
            assert reading in places, function.__name__
            refused.add(function.__name__)
    assert {"check_estimator_cloneable", "check_estimators_unfitted", "check_set_params"} <= passed
    assert {"check_estimators_pickle", "check_fit2d_1sample", "check_n_features_in"} <= refused
