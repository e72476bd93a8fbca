"""A sparse X of the estimators gives the bits of a dense one."""

import os
from typing import Any

import numpy as np
import pytest

import backpass as bp

sklearn = pytest.importorskip("sklearn")
from scipy import sparse  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

import backpass.sklearn as ours  # noqa: E402
from backpass.sklearn.mlp import network  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
estimators = pytest.mark.skipif(
    "BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"
)
X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16, y[:400]
weight = np.linspace(0.5, 2, 400)


def squared(pred: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """A loss of the user's."""
    return float(((pred - target) ** 2).mean()), 2 * (pred - target) / pred.size


DESIGNS: dict[str, dict[str, Any]] = {
    "adam": {},
    "float32": {"dtype": "float32"},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1, "activation": "tanh"},
    "lbfgs": {"solver": "lbfgs", "max_iter": 12},
    "dropout and batch norm": {"dropout": 0.3, "batch_norm": True, "activation": "gelu"},
    "held out": {"early_stopping": True},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "residual": {"hidden_layer_sizes": (64, 64), "residual": True},  # which reads X twice: made dense
    "callable loss": {"loss": squared},
    "numpy": {"backend": "numpy"},
    "numba": {"backend": "numba"},
}


def fitted(X: Any, weighted: bool = False, **options: Any) -> Any:
    if options.get("backend", "native") not in bp.available_backends():
        pytest.skip("a backend is missing")
    given = {"hidden_layer_sizes": (19,), "random_state": 0, "max_iter": 4, "batch_size": 45, **options}
    return ours.MLPClassifier(**given).fit(X, y, sample_weight=weight if weighted else None)


@estimators
@pytest.mark.parametrize("name", DESIGNS)
def test_sparse_rows_give_the_numbers_of_dense_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, where the backend adds up in the order of the columns."""
    monkeypatch.setattr(
        network, "BLOCK_BYTES", 8 * X.shape[1] * 100
    )  # where blocks are made dense, they are two batches and a bit
    weighted = "loss" not in DESIGNS[name]
    dense, thin = (fitted(form, weighted, **DESIGNS[name]) for form in (X, sparse.csr_matrix(X)))
    same = np.array_equal if DESIGNS[name].get("backend", "native") == "native" else np.allclose
    assert dense.n_iter_ == thin.n_iter_
    for a, b in zip(dense.coefs_ + dense.intercepts_, thin.coefs_ + thin.intercepts_, strict=True):
        assert same(a, b)
    assert same(dense.predict_proba(X), thin.predict_proba(sparse.csr_matrix(X)))
    assert same(dense.predict_proba(X[:1]), thin.predict_proba(sparse.csr_matrix(X[:1])))


def shuffled(X: Any) -> sparse.csr_matrix:
    """The same matrix with the columns of each row in another order, each value in two halves."""
    thin = sparse.csr_matrix(X)
    rng = np.random.default_rng(0)
    data, indices, starts = [], [], [0]
    for row in range(thin.shape[0]):
        part = slice(thin.indptr[row], thin.indptr[row + 1])
        order = rng.permutation(2 * (part.stop - part.start))
        data.append(np.tile(thin.data[part] / 2, 2)[order])
        indices.append(np.tile(thin.indices[part], 2)[order])
        starts.append(starts[-1] + len(order))
    return sparse.csr_matrix((np.concatenate(data), np.concatenate(indices), starts), thin.shape)


def with_zeros(X: Any) -> sparse.csr_matrix:
    """The same matrix with its zeros among the values."""
    columns = np.tile(np.arange(X.shape[1]), len(X))
    return sparse.csr_matrix((X.ravel(), columns, np.arange(len(X) + 1) * X.shape[1]), X.shape)


@estimators
@pytest.mark.parametrize(
    "form", [sparse.csc_matrix, sparse.csr_array, sparse.coo_matrix, sparse.lil_matrix, with_zeros]
)
def test_every_form_of_a_sparse_matrix_will_do(form: Any) -> None:
    dense, thin = fitted(X), fitted(form(X))
    assert dense.loss_curve_ == thin.loss_curve_
    assert np.array_equal(dense.predict_proba(X), thin.predict_proba(form(X)))


@estimators
def test_columns_may_be_out_of_order_and_twice() -> None:
    given = shuffled(X)
    before = given.indices.copy()
    assert np.allclose(fitted(X).loss_curve_, fitted(given).loss_curve_)
    assert np.array_equal(given.indices, before)


@estimators
def test_partial_fit_takes_sparse_batches() -> None:
    dense, thin = (ours.MLPClassifier((19,), random_state=0, batch_size=32) for _ in range(2))
    for part in range(6):
        rows = slice(60 * part, 60 * (part + 1))
        dense.partial_fit(X[rows], y[rows], classes=np.unique(y))
        thin.partial_fit(sparse.csr_matrix(X[rows]), y[rows], classes=np.unique(y))
    assert dense.loss_curve_ == thin.loss_curve_
    assert np.array_equal(dense.coefs_[0], thin.coefs_[0])


@estimators
def test_a_wide_sparse_matrix_is_not_made_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million columns: a dense batch of 200 rows alone would take 800 MB."""
    rng = np.random.default_rng(0)
    wide = sparse.csr_matrix(
        (np.ones(2000), rng.integers(0, 10**6, 2000), np.arange(0, 2001, 5)), (400, 10**6)
    )
    monkeypatch.setattr(sparse.csr_matrix, "toarray", None)
    model = ours.MLPClassifier((3,), random_state=0, max_iter=2, dtype="float32").fit(wide, y)
    assert np.isfinite(model.loss_curve_).all()
    assert model.predict(wide).shape == (400,)
    plans = model._network.model.engine.plans.plans
    assert len(plans) == 3  # of a batch, of many rows to predict and of one, which tells the shape
    assert sum(plan.bytes for plan in plans.values()) < 10**6
