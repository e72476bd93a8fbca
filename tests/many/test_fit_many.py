"""fit_many: each model ends with the bits of its own fit, whatever the others are, and however many train at once."""

import threading
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.many.shared import Shared
from helpers.nets import small
from helpers.random_models import (
    CHUNKS,
    LABELS,
    VALIDATION,
    X,
    random_callbacks,
    random_model,
    random_sizes,
    state_of,
)

COUNT = 12
EPOCHS, SIZES = random_sizes(COUNT)
EACH = {"validation_data": VALIDATION, "sample_weight": np.linspace(0, 2, len(X))}


def models() -> list[bp.Model]:
    return [random_model(seed) for seed in range(COUNT)]


@pytest.fixture(scope="module")
def alone() -> list[bp.Model]:
    trained = models()
    for seed, model in enumerate(trained):
        model.fit(
            X, LABELS, epochs=EPOCHS[seed], batch_size=SIZES[seed], callbacks=random_callbacks(seed), **EACH
        )
    return trained


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_has_the_bits_of_its_own_fit(alone: list[bp.Model], threads: int) -> None:
    runs = bp.fit_many(
        models(),
        X,
        LABELS,
        epochs=EPOCHS,
        batch_size=SIZES,
        callbacks=random_callbacks,
        threads=threads,
        **EACH,
    )
    for model, expected in zip(runs.models, alone, strict=True):
        assert state_of(model) == state_of(expected), model
    assert [h.history for h in runs.histories] == [m.engine.last_run.history.history for m in alone]  # type: ignore[union-attr]


def test_chunks() -> None:
    together, apart = models()[:3], models()[:3]
    bp.fit_many(together, CHUNKS, epochs=2, batch_size=16, threads=2)
    for one, other in zip(together, apart, strict=True):
        other.fit(CHUNKS, epochs=2, batch_size=16)
        assert state_of(one) == state_of(other)


def test_what_is_shared_is_converted_once_for_each_dtype() -> None:
    wide = X.astype(np.float64)
    together = [small(dtype=dtype) for dtype in ("float32", "float32", "float64")]
    shared = Shared(wide, {"y": LABELS}, None, None, None, 3)
    seen = [shared.of(number, model)["X"] for number, model in enumerate(together)]
    assert seen[0] is seen[1]
    assert seen[0].dtype == np.float32
    assert seen[2] is wide


def test_folds_and_the_rest() -> None:
    masks = np.arange(len(X)) % 3 != np.arange(3)[:, None]
    together, apart = ([small("cross_entropy", seed=s) for s in range(3)] for _ in range(2))
    runs = bp.fit_many(together, X, LABELS, epochs=2, folds=masks, validation_data="rest")
    by_number = bp.fit_many(
        [small("cross_entropy", seed=s) for s in range(3)],
        X, LABELS, epochs=2, folds=[np.flatnonzero(mask) for mask in masks], validation_data="rest",
    )  # fmt: skip
    for number, model in enumerate(apart):
        mask = masks[number]
        history = model.fit(X[mask], LABELS[mask], epochs=2, validation_data=(X[~mask], LABELS[~mask]))
        assert state_of(together[number]) == state_of(model) == state_of(by_number.models[number])
        assert runs.rows[number]["val_loss"] == history.history["val_loss"][-1]


def test_the_rest_has_its_lengths_and_weights() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 5, 3)).astype(np.float32), rng.standard_normal((40, 5, 1))
    lengths, weights = rng.integers(1, 6, 40), rng.uniform(0.1, 2, (2, 40))
    masks = np.arange(40) % 2 != np.arange(2)[:, None]

    def models() -> list[bp.Model]:
        return [bp.Model(nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 1)), seed=s) for s in range(2)]

    runs = bp.fit_many(models(), X, y, lengths=lengths, weights=weights, folds=masks, validation_data="rest")
    for number, model in enumerate(models()):
        on, off = masks[number], ~masks[number]
        history = model.fit(
            X[on], y[on], sample_weight=weights[number][on], lengths=lengths[on],
            validation_data=(X[off], y[off], weights[number][off], lengths[off]),
        )  # fmt: skip
        assert runs.rows[number]["val_loss"] == history.history["val_loss"][-1]


class Looks(nn.Module):
    """Its input becomes indices in its `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(3, 4), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.last(self.table(x)[:, 0])


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_indices_and_categories(library: str, own: bool) -> None:
    frames = pytest.importorskip(library)
    kind = "category" if library == "pandas" else frames.Categorical
    ids = np.arange(len(X)) % 3
    named = frames.Series("c", [*"bca"] * 30, dtype=kind) if library == "polars" else [*"bca"] * 30
    for frame in (
        frames.DataFrame({"c": ids}),
        frames.DataFrame({"c": named}) if library == "polars" else frames.DataFrame({"c": named}, dtype=kind),
    ):
        together, apart = (
            bp.Model(
                Looks() if own else nn.Sequential(nn.Embedding(3, 4), nn.Flatten(), nn.Linear(4, 3)),
                "cross_entropy",
            )
            for _ in range(2)
        )
        bp.fit_many([together], frame, LABELS)
        apart.fit(frame, LABELS)
        assert state_of(together) == state_of(apart)


def test_weights_of_each_model() -> None:
    weights = np.random.default_rng(0).poisson(1.0, (2, len(X)))
    together, apart = ([small("cross_entropy", seed=s) for s in range(2)] for _ in range(2))
    bp.fit_many(together, X, LABELS, weights=weights, epochs=2)
    for number, model in enumerate(apart):
        model.fit(X, LABELS, sample_weight=weights[number], epochs=2)
        assert state_of(together[number]) == state_of(model)


def test_the_best_by_the_epoch_whose_weights_it_has() -> None:
    stopping = bp.EarlyStopping("val_loss", patience=20)
    runs = bp.fit_many(
        [small("cross_entropy", seed=s, optimizer=bp.optim.Adam(lr=0.1)) for s in range(3)],
        X, LABELS, epochs=20, validation_data=VALIDATION, callbacks=[stopping],
    )  # fmt: skip
    least = [min(history.history["val_loss"]) for history in runs.histories]
    assert [row["val_loss"] for row in runs.rows] == least
    assert runs.best is runs.models[int(np.argmin(least))]
    evaluated = runs.best.evaluate(*VALIDATION)["loss"]
    assert evaluated == min(least)
    table = runs.to_pandas()
    assert len(table) == 3
    assert table["val_loss"].min() == evaluated
    assert not hasattr(stopping, "model")  # each had a copy
    assert f"{min(least):.4g}" in repr(runs).splitlines()[2]


class Breaks(bp.Callback):
    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if epoch == 1:
            raise OSError("no more")


def test_a_failure_ends_that_model_alone() -> None:
    hot = [
        bp.Model(nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 3)), "cross_entropy", "sgd", seed=s)
        for s in range(5)
    ]
    hot[1].optimizer.lr = 1e30
    hot[2].optimizer.lr = 1e30
    hot[4] = bp.Model(nn.Linear(5, 3), "cross_entropy")
    own = [[], [], [bp.TerminateOnNaN()], [Breaks()], []]
    with pytest.warns(RuntimeWarning, match=r"4 of 5 models failed.*models\[1\]: NonFiniteError"):
        runs = bp.fit_many(hot, X, LABELS, epochs=4, callbacks=own, threads=2)
    assert [type(runs.errors[n]) for n in (1, 2, 3, 4)] == [
        bp.NonFiniteError, bp.NonFiniteError, OSError, ValueError,
    ]  # fmt: skip
    assert runs.rows[3]["epochs"] == 2
    assert runs.rows[3]["error"] == "OSError: no more"
    assert runs.rows[0]["epochs"] == 4
    assert runs.best is hot[0] is runs.trained[0]
    assert len(runs.trained) == 1
    assert "4 failed" in repr(runs)
    with pytest.warns(RuntimeWarning, match="2 of 2"):
        none = bp.fit_many([small(seed=s) for s in range(2)], X[:, :5], LABELS)
    with pytest.raises(ValueError, match=r"no model finished an epoch.*X does not fit"):
        _ = none.best


def test_callbacks_that_a_function_cannot_make_end_that_model_alone() -> None:
    def callbacks(number: int) -> list[bp.Callback]:
        if number == 1:
            raise OSError("no more")
        return []

    trained = [small("cross_entropy", seed=s) for s in range(3)]
    with pytest.warns(RuntimeWarning, match=r"1 of 3 models failed.*models\[1\]: OSError: no more"):
        runs = bp.fit_many(trained, X, LABELS, callbacks=callbacks, threads=2)
    assert [row["epochs"] for row in runs.rows] == [1, 0, 1]


def test_models_belong_to_their_callers_again() -> None:
    model = small("cross_entropy", threads=2)
    bp.fit_many([model], X, LABELS, epochs=2)
    assert model.threads == 2
    model.fit(X, LABELS)
    assert model.epoch == 3
    assert not any("backpass-many" in thread.name for thread in threading.enumerate())


M = [small("cross_entropy", seed=s) for s in range(2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": M[0]}, "models is Model"),
        ({"models": []}, "models is empty"),
        ({"models": [*M, M[0]]}, r"models\[2\] is models\[0\] again"),
        ({"models": [nn.Linear(6, 3)]}, r"models\[0\] is Linear"),
        ({"epochs": [1, 2, 3]}, "epochs has 3 values, expected one, or one for each of 2 models"),
        ({"epochs": [1, -1]}, "epochs is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": [None, 2.5]}, "batch_size is 2.5"),
        ({"batch_size": [1]}, "batch_size has 1 values"),
        ({"shufle": True}, "no argument 'shufle'; did you mean 'shuffle'"),
        ({"verbose": 1}, "no argument 'verbose': give progress=True"),
        ({"threads": 0}, "threads is 0"),
        ({"folds": np.ones((3, 90), bool)}, "folds is of 3, expected a mask"),
        ({"folds": [[0, 90], [1]]}, r"folds\[0\] holds row 90, expected 0 to 89"),
        ({"folds": [[0], []]}, r"folds\[1\] is float64 of shape \(0,\)"),
        ({"folds": np.zeros((2, 90), bool)}, r"folds\[0\] is empty"),
        ({"weights": np.ones((2, 3))}, r"weights has shape \(2, 3\), expected \(2, 90\)"),
        ({"weights": np.ones((2, 90)), "sample_weight": np.ones(90)}, "both given"),
        ({"validation_data": "rest"}, "validation_data is 'rest', expected"),
        ({"callbacks": [bp.CSVLogger("log.csv")]}, r"callbacks\[0\] writes log.csv for all models"),
        ({"callbacks": [bp.TensorBoard("runs")]}, r"callbacks\[0\] writes runs for all models"),
        ({"callbacks": [[], [], []]}, "callbacks has 3 values"),
        ({"callbacks": [3]}, r"callbacks\[0\] is 3"),
        ({"progress": "yes"}, "progress is .yes."),
        ({"directory": "x", "every": "often"}, "every is 'often'"),
    ],
)
def test_refused(arguments: dict[str, Any], message: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=message):
        bp.fit_many(**{"models": M, "X": X, "y": LABELS} | arguments)
    assert M[0].epoch == 0
