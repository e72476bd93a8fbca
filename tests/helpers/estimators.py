"""Estimators that fit in a moment, and their data."""

from typing import Any

import numpy as np
import pytest

from backpass.sklearn import ELMClassifier, ELMRegressor, MLPClassifier, MLPRegressor

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
