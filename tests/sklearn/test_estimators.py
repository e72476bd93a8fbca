"""All four estimators among scikit-learn's tools: files, data frames, pipelines, searches."""

import copy
import inspect
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
import joblib
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import backpass as bp
from backpass.backends import threads
from backpass.backends.threads import affinity
from backpass.sklearn import ELMClassifier, ELMRegressor, MLPClassifier, MLPRegressor, sharing
from backpass.training import loops

pytestmark = [
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the estimators know no instruction sets"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16, y[:400]
ESTIMATORS: dict[str, Any] = {
    "MLPClassifier": MLPClassifier((8,), max_iter=3, random_state=0, dropout=0.2, batch_norm=True),
    "MLPRegressor": MLPRegressor("huber", (8,), max_iter=3, random_state=0, solver="nadam"),
    "ELMClassifier": ELMClassifier(20, "relu", random_state=0),
    "ELMRegressor": ELMRegressor(20, alpha="loo", random_state=0),
}
each = pytest.mark.parametrize("name", ESTIMATORS)


def answers(model: Any, X: Any) -> np.ndarray:
    """All that a fitted estimator has to say, probabilities rather than labels."""
    return np.asarray(model.predict_proba(X) if is_classifier(model) else model.predict(X))


def test_common_parameters_have_one_default_and_type() -> None:
    for one, other in ((MLPClassifier, MLPRegressor), (ELMClassifier, ELMRegressor)):
        a, b = (inspect.signature(kind.__init__).parameters for kind in (one, other))
        common = (a.keys() & b.keys()) - {"loss"}
        assert len(common) > 12
        assert all(a[name] == b[name] for name in common)


# ---- files -----------------------------------------------------------------------------------------------------------


def by_file(model: Any, tmp_path: Path) -> Any:
    joblib.dump(model, tmp_path / "model.joblib")
    return joblib.load(tmp_path / "model.joblib")


def by_skops(model: Any, tmp_path: Path) -> Any:
    sio = pytest.importorskip("skops.io")
    data = sio.dumps(model)
    unknown = sio.get_untrusted_types(data=data)
    assert unknown == [f"{type(model).__module__}.{type(model).__name__}"]
    return sio.loads(data, trusted=unknown)


TRIPS: dict[str, Callable[[Any, Path], Any]] = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "joblib": by_file,
    "skops": by_skops,
    "deepcopy": lambda model, _: copy.deepcopy(model),
}


@pytest.mark.parametrize("trip", TRIPS)
@each
def test_round_trips_go_on_to_the_same_bits(name: str, trip: str, tmp_path: Path) -> None:
    model = clone(ESTIMATORS[name]).fit(X[:300], y[:300])
    model.set_params(
        activation="tanh" if model.activation == "relu" else "relu"
    )  # counts from the next fit on
    again = TRIPS[trip](model, tmp_path)
    assert again.get_params() == model.get_params()
    assert np.array_equal(answers(model, X), answers(again, X))
    before = answers(model, X)
    for one in (model, again):
        if name.startswith("ELM"):  # whose random layer is settled
            with pytest.raises(ValueError, match=r"activation is '.*', expected '.*': partial_fit goes on"):
                one.partial_fit(X[300:], y[300:])
            one.set_params(activation=ESTIMATORS[name].activation)
        one.partial_fit(X[300:], y[300:])
    assert not np.array_equal(answers(model, X), before)
    assert np.array_equal(answers(model, X), answers(again, X))
    assert getattr(model, "loss_curve_", None) == getattr(again, "loss_curve_", None)


# ---- data frames and pipelines ---------------------------------------------------------------------------------------


def in_pipeline(model: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), model)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@each
def test_data_frames_give_feature_names(name: str, library: str) -> None:
    frames = pytest.importorskip(library)
    names = [f"pixel {i}" for i in range(X.shape[1])]
    frame = frames.DataFrame(dict(zip(names, X.T, strict=True)))
    target = frames.Series(y)
    named, plain = clone(ESTIMATORS[name]).fit(frame, target), clone(ESTIMATORS[name]).fit(X, y)
    assert np.array_equal(answers(named, frame), answers(plain, X))
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        pytest.skip(f"this scikit-learn sees no names in a data frame of this {library}")
    assert list(named.feature_names_in_) == names
    with pytest.raises(ValueError, match="feature names"):
        named.predict(frame[names[::-1]])


@each
def test_pipelines_give_what_their_steps_give(name: str, tmp_path: Path) -> None:
    model = clone(in_pipeline(ESTIMATORS[name])).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    assert np.array_equal(answers(model, X), answers(clone(ESTIMATORS[name]).fit(scaled, y), scaled))
    assert np.array_equal(answers(by_file(model, tmp_path), X), answers(model, X))


# ---- searches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["threading", "loky"])
@each
def test_a_search_finds_the_same_with_two_jobs(name: str, backend: str) -> None:
    model = in_pipeline(ESTIMATORS[name])
    grid = {f"{name.lower()}__alpha": [1e-4, 10.0]}

    def scores(jobs: int) -> Any:
        with joblib.parallel_backend(backend, n_jobs=jobs):
            return GridSearchCV(model, grid, cv=2).fit(X, y).cv_results_["mean_test_score"]

    alone, shared = scores(1), scores(2)
    assert np.isfinite(alone).all()
    assert np.array_equal(alone, shared)


class Together(bp.Callback):
    """Holds its run up until another one has begun, too. Not copied by `clone`: both sides meet at one barrier."""

    barrier = threading.Barrier(2, timeout=60)

    def on_epoch_begin(self, epoch: int, logs: Any) -> None:
        if epoch == 0:
            self.barrier.wait()


@pytest.mark.parametrize("threads", [2, 5])
def test_searching_threads_share_the_cpus(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that programs are told to use, summed over those that run at the same moment."""
    running: dict[int, int] = {}
    sums: list[int] = []
    lock, before, turned = threading.Lock(), bp.get_num_threads(), loops.switched

    def counting(model: Any, run: Any, steps: int, granted: int) -> Any:
        with lock:
            running[threading.get_ident()] = granted or bp.get_num_threads()
            sums.append(sum(running.values()))
        try:
            return turned(model, run, steps, granted)
        finally:
            with lock:
                del running[threading.get_ident()]

    monkeypatch.setattr(loops, "switched", counting)
    bp.set_num_threads(threads)
    try:
        model = MLPClassifier((128,), max_iter=10, random_state=0, callbacks=(Together(),))
        with joblib.parallel_backend("threading", n_jobs=2):
            GridSearchCV(model, {"alpha": [1e-4, 1.0]}, cv=2, refit=False, error_score="raise").fit(X, y)
    finally:
        bp.set_num_threads(before)
    assert max(sums) <= threads
    assert max(sums) >= threads - 1, "and leave none of them idle"


def test_estimators_that_train_at_once_share_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "get_num_threads", lambda: 8)
    with sharing.sharing():
        assert sharing.threads_of(None) == 0, "all"
        with sharing.sharing(), sharing.sharing():
            assert sharing.threads_of(None) == 2
        assert sharing.threads_of(3) == 3


@pytest.mark.parametrize("inner", [None, 3])
def test_processes_use_the_threads_that_joblib_leaves_them(
    inner: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in threads.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=inner):
        told = joblib.Parallel()(joblib.delayed(bp.get_num_threads)() for _ in range(4))
    assert set(told) == {inner or max(1, affinity() // 2)}


# ---- callbacks that keep something open ------------------------------------------------------------------------------


def test_an_estimator_that_has_shown_a_progress_bar_is_pickled() -> None:
    pytest.importorskip("tqdm")
    model = MLPClassifier((8,), max_iter=2, random_state=0, callbacks=[bp.ProgressBar()]).fit(X, y)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    clone(model)
