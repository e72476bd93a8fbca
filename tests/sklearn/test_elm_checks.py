"""scikit-learn's own checks of an estimator, on the extreme learning machines."""

import os
from typing import Any

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.utils.estimator_checks import parametrize_with_checks

from backpass.sklearn import ELMClassifier, ELMRegressor

pytestmark = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="once is enough: no kernel is tested here"
)
NOT_EQUIVALENT = {
    f"check_sample_weight_equivalence_on_{kind}_data": "a row of weight 2 is left out whole, two equal rows one by one"
    for kind in ("dense", "sparse")
}


def expected(estimator: Any) -> dict[str, str]:
    """The checks that an estimator cannot pass, and why."""
    return NOT_EQUIVALENT if estimator.alpha == "loo" else {}


@parametrize_with_checks(
    [
        ELMClassifier(60, random_state=0),
        ELMRegressor(60, random_state=0),
        ELMClassifier(40, "relu", "loo", random_state=0),
        ELMRegressor(40, "relu", "loo", random_state=0),
    ],
    expected_failed_checks=expected,
)
def test_scikit_learn_agrees(estimator: Any, check: Any) -> None:
    check(estimator)
