"""What scikit-learn's MLPs have, compared with ours by name: parameters, defaults, attributes, methods, warnings."""

import inspect
import os
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn import neural_network as theirs
from sklearn.base import clone

from backpass import sklearn as ours

pytestmark = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"
)
rng = np.random.default_rng(0)
X, y = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
NAMES = ("MLPClassifier", "MLPRegressor")
METHODS = ("fit", "predict", "predict_proba", "predict_log_proba", "partial_fit", "score")


def made(module: Any, name: str, **options: Any) -> Any:
    return getattr(module, name)(hidden_layer_sizes=(5,), random_state=0, **options)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_their_defaults(name: str) -> None:
    a, b = (inspect.signature(getattr(module, name)).parameters for module in (theirs, ours))
    for parameter, what in a.items():
        assert (b[parameter].default, b[parameter].kind) == (what.default, what.kind), parameter


@pytest.mark.parametrize(
    "options", [{}, {"early_stopping": True}, {"solver": "sgd"}, {"solver": "lbfgs"}], ids=str
)
@pytest.mark.parametrize("name", NAMES)
def test_public_names_and_warnings(name: str, options: dict[str, Any]) -> None:
    models, warned = [], []
    for module in (theirs, ours):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            models.append(made(module, name, max_iter=2, batch_size=500, **options).fit(X, y))
        warned.append([(w.category, str(w.message)[:24]) for w in caught if "scipy" not in str(w.message)])
    assert warned[0] == warned[1]
    assert warned[0]
    a, b = models
    names = [{n for n in dir(one) if not n.startswith("_")} for one in models]
    if options.get("solver") == "lbfgs":  # where scikit-learn's regressor forgets to hide it
        names[0].discard("partial_fit")
        assert not hasattr(b, "partial_fit")
    assert names[0] <= names[1]
    assert not {n for n in names[1] - names[0] if n.endswith("_")}, "attributes that scikit-learn lacks"
    for n in (n for n in vars(a) if n.endswith("_")):
        assert isinstance(getattr(a, n), type(getattr(b, n))), n  # a float64 of NumPy is a float
    for n in names[0].intersection(METHODS):
        assert {*inspect.signature(getattr(a, n)).parameters} <= {
            *inspect.signature(getattr(b, n)).parameters
        }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_integer_weight_is_so_many_rows(name: str, solver: str) -> None:
    times = rng.integers(1, 4, len(X))
    options = {
        "solver": solver,
        "alpha": 0.0,
        "max_iter": 15,
    }  # the penalty is divided by the rows of a batch
    weighted = made(ours, name, batch_size=len(X), **options).fit(X, y, sample_weight=times)
    repeated = made(ours, name, batch_size=int(times.sum()), **options)
    repeated.fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert np.allclose(a, b, rtol=0, atol=1e-6)
    plain = clone(weighted).fit(X, y)
    assert not np.allclose(weighted.coefs_[0], plain.coefs_[0], rtol=0, atol=1e-4)
