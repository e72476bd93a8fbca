"""Extreme learning machines: the solution against other ways to compute it, in one go, in chunks and row by row."""

import os
import tracemalloc
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.linear_model import Ridge, RidgeCV

from backpass.sklearn import ELMClassifier, ELMRegressor
from backpass.sklearn.elm import base as elm_base
from helpers.elm_rows import LABELS, WEIGHT, X, Y, close, rng

pytestmark = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="once is enough: no kernel is tested here"
)


def units(elm: Any) -> np.ndarray:
    """The hidden units of X, by NumPy."""
    state = elm.hidden_.state_dict()
    return np.tanh(X @ state["0.weight"].T + state["0.bias"])


# ---- the solution --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "cholesky", "svd"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_hidden", [20, 90])
def test_it_is_ridge_regression_on_random_units(solver: str, fit_intercept: bool, n_hidden: int) -> None:
    elm = ELMRegressor(n_hidden, alpha=0.3, solver=solver, fit_intercept=fit_intercept, random_state=1)
    elm.fit(X, Y, WEIGHT)
    ridge = Ridge(0.3, fit_intercept=fit_intercept, solver="svd").fit(units(elm), Y, WEIGHT)
    close(elm.coef_, ridge.coef_)
    close(elm.intercept_, ridge.intercept_)
    close(elm.predict(X), ridge.predict(units(elm)))
    assert elm.solver_ == ("svd" if solver == "svd" else "cholesky")


@pytest.mark.parametrize("n_hidden", [20, 90])
@pytest.mark.parametrize("alpha", [None, 0])
def test_no_ridge_is_the_pseudoinverse(n_hidden: int, alpha: Any) -> None:
    elm = ELMRegressor(n_hidden, alpha=alpha, fit_intercept=False, random_state=1).fit(X, Y)
    close(elm.coef_.T, np.linalg.pinv(units(elm)) @ Y)
    assert elm.solver_ == "svd"


def test_singular_values_where_cholesky_would_lose_the_digits() -> None:
    elm = ELMRegressor(90, alpha=1e-12, fit_intercept=False, random_state=1).fit(X, Y)
    assert elm.solver_ == "svd"
    close(elm.coef_.T, np.linalg.pinv(units(elm)) @ Y, 1e-6)
    with pytest.raises(ValueError, match="solver is 'cholesky', but with alpha 1e-12 the matrix is singular"):
        clone(elm).set_params(solver="cholesky").fit(X, Y)


def test_eigenvalues_where_the_hidden_matrix_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    small = ELMRegressor(20, alpha=None, random_state=1).fit(X, Y)
    monkeypatch.setattr(elm_base, "SVD_BYTES", 100)
    large = clone(small).fit(X, Y)
    assert (small.solver_, large.solver_) == ("svd", "eigh")
    close(small.predict(X), large.predict(X), 1e-6)


@pytest.mark.parametrize("solver", ["auto", "svd"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_hidden", [12, 90])
def test_leave_one_out_is_what_sixty_refits_say(solver: str, fit_intercept: bool, n_hidden: int) -> None:
    alphas = [0.01, 0.1, 10.0]
    settings = {"fit_intercept": fit_intercept, "random_state": 1, "solver": solver}
    elm = ELMRegressor(n_hidden, alpha="loo", alphas=alphas, chunk_size=7, **settings).fit(X, Y, WEIGHT)
    h, errors = units(elm), np.zeros(3)
    for number, alpha in enumerate(alphas):
        for row in range(60):
            rest = np.arange(60) != row
            ridge = Ridge(alpha, fit_intercept=fit_intercept, solver="svd").fit(
                h[rest], Y[rest], WEIGHT[rest]
            )
            errors[number] += WEIGHT[row] * np.square(ridge.predict(h[[row]]) - Y[row]).sum()
    close(elm.loo_errors_, errors / (2 * WEIGHT.sum()))
    assert elm.alpha_ == alphas[int(np.argmin(errors))]
    assert elm.loo_error_ == elm.loo_errors_.min()
    close(elm.predict(X), clone(elm).set_params(alpha=elm.alpha_).fit(X, Y, WEIGHT).predict(X))


def test_leave_one_out_weighs_rows_as_scikit_learn_does() -> None:
    alphas, y = [0.01, 0.1, 10.0], Y[:, 0]
    elm = ELMRegressor(12, alpha="loo", alphas=alphas, random_state=1).fit(X, y, WEIGHT)
    ridge = RidgeCV(alphas, store_cv_results=True).fit(units(elm), y, WEIGHT)
    close(elm.loo_errors_, ridge.cv_results_.reshape(60, 3).sum(axis=0) / WEIGHT.sum())
    assert elm.alpha_ == ridge.alpha_


@pytest.mark.parametrize("solver", ["auto", "svd"])
def test_rows_that_are_all_the_same_teach_nothing_but_their_mean(solver: str) -> None:
    elm = ELMRegressor(20, alpha="loo", solver=solver, random_state=1).fit(np.ones((10, 2)), np.arange(10.0))
    for one in (elm, clone(elm).set_params(alpha=None).fit(np.ones((10, 2)), np.arange(10.0))):
        close(one.predict(np.ones((1, 2))), 4.5)
        close(one.predict(np.zeros((1, 2))), 4.5)
    close(elm.loo_error_, np.mean([(i - (45 - i) / 9) ** 2 for i in range(10)]))


@pytest.mark.parametrize("alpha", [None, 0, 1e-14, 1e-3, "loo"])
@pytest.mark.parametrize("kind", ["columns twice", "all zero", "one row"])
def test_rank_deficient_data_give_finite_weights(kind: str, alpha: Any) -> None:
    x, y = {
        "columns twice": (np.hstack([X, X, np.ones((60, 1))]), Y),
        "all zero": (np.zeros((60, 3)), Y),
        "one row": (X[:1], Y[:1]),
    }[kind]
    elm = ELMRegressor(150, alpha=alpha, random_state=1).fit(x, y)
    assert np.isfinite(elm.coef_).all()
    assert np.abs(elm.predict(x)).max() <= 2 * np.abs(y).max()


def test_leave_one_out_is_not_taken_in_by_a_perfect_fit() -> None:
    elm = ELMRegressor(200, alpha="loo", alphas=[1e-18, 1e-2], random_state=1).fit(X, rng.standard_normal(60))
    assert elm.loo_errors_[0] == np.inf
    assert elm.alpha_ == 1e-2


# ---- rows in pieces ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.1, "loo"])
def test_chunks_change_nothing(alpha: Any) -> None:
    whole = ELMRegressor(20, alpha=alpha, random_state=1).fit(X, Y, WEIGHT)
    for size in (1, 7, 60):
        close(clone(whole).set_params(chunk_size=size).fit(X, Y, WEIGHT).predict(X), whole.predict(X))


def test_partial_fit_is_the_fit_on_all_rows() -> None:
    whole = ELMRegressor(20, random_state=1).fit(X, Y, WEIGHT)
    pieces, after = clone(whole), clone(whole).fit(X[:30], Y[:30], WEIGHT[:30])
    for start, end in ((0, 1), (1, 20), (20, 60)):
        pieces.partial_fit(X[start:end], Y[start:end], WEIGHT[start:end])
    after.partial_fit(X[30:], Y[30:], WEIGHT[30:])
    for elm in (pieces, after):
        close(elm.coef_, whole.coef_)
        close(elm.predict(X), whole.predict(X))


def test_partial_fit_of_classes() -> None:
    whole = ELMClassifier(20, class_weight={"yes": 3.0}, random_state=1).fit(X, LABELS)
    pieces = clone(whole)
    with pytest.raises(ValueError, match="classes is None"):
        pieces.partial_fit(X[:5], LABELS[:5])
    for start in range(0, 60, 5):
        pieces.partial_fit(X[start : start + 5], LABELS[start : start + 5], classes=["yes", "no", "perhaps"])
    close(pieces.decision_function(X), whole.decision_function(X))


def test_partial_fit_goes_on_with_the_ridge_that_fit_chose() -> None:
    chosen = ELMRegressor(20, alpha="loo", random_state=1).fit(X[:40], Y[:40])
    first = clone(chosen).partial_fit(X[:40], Y[:40])  # which chooses like `fit`
    close(first.coef_, chosen.coef_)
    alpha = chosen.alpha_
    assert first.alpha_ == alpha
    whole = ELMRegressor(20, alpha=alpha, random_state=1).fit(X, Y)
    close(chosen.partial_fit(X[40:], Y[40:]).predict(X), whole.predict(X))
    assert chosen.alpha_ == alpha


def test_a_weight_is_a_number_of_rows_and_zero_is_none() -> None:
    times = rng.integers(0, 4, 60)
    weighted = ELMRegressor(20, random_state=1).fit(X, Y, times)
    repeated = clone(weighted).fit(np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0))
    close(weighted.predict(X), repeated.predict(X))
    close(clone(weighted).fit(X, Y, 5 * times).set_params().moments_.weight, 5 * times.sum())


def test_memory_does_not_grow_with_the_rows() -> None:
    many = np.zeros((20_000, 3), np.float32)
    many[:, 0] = np.linspace(-2, 2, len(many))
    elm = ELMRegressor(100, alpha="loo", chunk_size=500, random_state=1)
    tracemalloc.start()
    elm.fit(many, np.sin(many[:, 0]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # the hidden units of all rows: 16 MB in float64
    assert elm.score(many, np.sin(many[:, 0])) > 0.999
