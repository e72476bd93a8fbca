"""The precision of a model: training, bits for any number of threads, files, copies, settings, errors."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from backpass.ops.precision import PRECISIONS
from helpers.backends import needs_native, once

BELOW = [precision for precision in PRECISIONS if precision != "float32"]
RNG = np.random.default_rng(3)
X = RNG.standard_normal((400, 20)).astype(np.float32)
LABELS = (X @ RNG.standard_normal((20, 3))).argmax(1)


def make(**options: Any) -> bp.Model:
    net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
    return bp.Model(net, "cross_entropy", optimizer=bp.optim.Adam(lr=0.01), **options)


@pytest.fixture
def default() -> Any:
    """Leaves the default as it was."""
    yield
    bp.set_precision("float32")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_learns_alike(backend: Backend, precision: str) -> None:
    model = make(precision=precision)
    model.backend = backend
    model.fit(X, LABELS, epochs=30, batch_size=50)
    assert model.score(X, LABELS) > 0.97


@needs_native
@pytest.mark.parametrize("precision", BELOW)
@pytest.mark.parametrize("unit", ["emulation", "amx_emulation"])
def test_no_bit_depends_on_threads(precision: str, unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPASS_UNIT", unit)
    weights = []
    for threads in (1, 2, 3):
        net = nn.Sequential(nn.Linear(20, 300), nn.GELU(), nn.Linear(300, 3))
        model = bp.Model(net, "cross_entropy", backend="native", threads=threads, precision=precision)
        model.fit(X[:300], LABELS[:300], batch_size=150)
        weights.append(model.engine.flat.params.tobytes())
    assert weights[0] == weights[1] == weights[2]


@needs_native
def test_units_are_chosen_named_and_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPASS_UNIT", "emulation")
    model = make(precision="bf16", backend="native")
    assert model.engine.unit == "emulation"
    assert "precision='bf16', computed by emulation" in repr(model)
    emulated = model.predict(X)
    monkeypatch.setenv("BACKPASS_UNIT", "float32")
    plain = make(precision="bf16", backend="native")
    assert "computed by float32" in repr(plain)
    assert not np.array_equal(plain.predict(X), emulated)
    assert np.array_equal(plain.predict(X), make(backend="native").predict(X))
    monkeypatch.setenv("BACKPASS_UNIT", "abacus")
    with pytest.raises(ValueError, match=r"BACKPASS_UNIT is 'abacus'.*emulation"):
        make(precision="bf16", backend="native")


@needs_native
def test_emulation_is_only_taken_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKPASS_UNIT", raising=False)
    assert all("emulation" not in bp.get_backend("native").unit(precision) for precision in PRECISIONS)


def test_a_model_says_its_precision_only_where_it_is_not_float32() -> None:
    assert make().precision == "float32"
    assert "precision" not in repr(make())


def test_precision_may_change_between_steps() -> None:
    model = make(backend="numpy")
    before = model.predict(X)
    model.precision = "bf16"
    rounded = model.predict(X)
    assert not np.array_equal(before, rounded)
    assert np.allclose(before, rounded, atol=0.05)
    model.precision = None
    assert np.array_equal(model.predict(X), before)


def test_the_default_is_that_of_models_made_later(default: None) -> None:
    earlier = make()
    bp.set_precision("bf16")
    assert bp.get_precision() == "bf16"
    assert (earlier.precision, make().precision, make(dtype="float64").precision) == (
        "float32",
        "bf16",
        "float32",
    )
    assert make(precision="bf16x3").precision == "bf16x3"


@pytest.mark.parametrize("value", ["bf17", 16, ["bf16"], b"bf16"])
def test_another_precision_is_refused_by_name(value: Any) -> None:
    for refused in (lambda: make(precision=value), lambda: bp.set_precision(value)):
        with pytest.raises(ValueError, match=r"precision is .* expected one of"):
            refused()


def test_float64_takes_float32_alone() -> None:
    with pytest.raises(ValueError, match="precision is 'bf16', expected 'float32' with float64"):
        make(precision="bf16", dtype="float64")
    model = make(dtype="float64")
    with pytest.raises(ValueError, match="float64"):
        model.precision = "bf16x3"
    assert model.precision == "float32"


def test_files_and_copies_keep_it(tmp_path: Path) -> None:
    model = make(precision="bf16", backend="numpy")
    model.fit(X, LABELS, batch_size=100)
    model.save(tmp_path / "model.safetensors")
    assert b'"unit": "emulation"'.replace(b'"', b'\\"') in (tmp_path / "model.safetensors").read_bytes()
    for other in (
        bp.load(tmp_path / "model.safetensors", backend="numpy"),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ):
        assert other.precision == "bf16"
        assert np.array_equal(other.predict(X), model.predict(X))


@once
@pytest.mark.filterwarnings("ignore:.*converged")
def test_estimators_have_it() -> None:
    from backpass.sklearn import CNNClassifier, MLPClassifier

    mlp = MLPClassifier(
        (16,),
        max_iter=40,
        learning_rate_init=0.02,
        dtype="float32",
        precision="bf16",
        backend="numpy",
        random_state=0,
    )
    assert mlp.fit(X, LABELS).score(X, LABELS) > 0.9
    plain = MLPClassifier(
        (16,), max_iter=40, learning_rate_init=0.02, dtype="float32", backend="numpy", random_state=0
    ).fit(X, LABELS)
    assert not np.array_equal(mlp.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(ValueError, match="precision is 'bf16', expected 'float32' with float64"):
        MLPClassifier((16,), dtype="float64", precision="bf16").fit(X, LABELS)
    with pytest.raises(ValueError, match="precision"):
        CNNClassifier(precision="bf17").fit(X.reshape(400, 1, 4, 5), LABELS)


def test_gradients_are_checked_in_float64_whatever_the_precision() -> None:
    assert (
        bp.gradcheck(make(precision="bf16", backend="numpy"), X[:8], LABELS[:8]).worst_relative_error < 1e-5
    )


def test_a_change_between_backward_and_update_keeps_the_gradients_of_sparse_tables() -> None:
    ids, found = np.arange(12).reshape(6, 2) % 10, []
    for change in (False, True):
        net = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.Flatten(), nn.Linear(8, 1))
        model = bp.Model(net, "mse", "adam", backend="numpy")
        model.backward(np.ones_like(model.forward(ids, training=True)))
        if change:
            model.precision = "bf16"
        model.update()
        found.append(model.state_dict()["0.weight"])
    assert np.array_equal(*found)


def test_recurrent_layers_behind_a_table_compute_in_float32() -> None:
    """As in `predict`: their products of the rows of the table, too."""
    net = nn.Sequential(nn.Embedding(5, 8), nn.LSTM(8, 16))
    model = bp.Model(net, "mse", precision="bf16", backend="numpy")
    ids = np.arange(60).reshape(4, 15) % 5
    assert np.allclose(model.forward(ids, training=True), model.predict(ids), atol=1e-6)


def test_ranks_compute_at_the_precision() -> None:
    MPI = pytest.importorskip("mpi4py.MPI")
    states = []
    for precision in ("float32", "bf16"):
        model = make(precision=precision, backend="numpy")
        model.fit(X, LABELS, comm=MPI.COMM_WORLD)
        states.append(model.state_dict()["0.weight"])
    assert not np.array_equal(*states)
    assert np.allclose(*states, atol=0.05)
