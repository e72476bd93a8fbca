"""Faults of kind C: which way a metric goes and whether it is there, known before the first step. The way of scikit-learn's
scorers is in tests/sklearn/test_metric_direction.py."""

import csv
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import optim
from helpers.nets import LABELS, X, Y, small

MONITORS: dict[str, Callable[..., Any]] = {
    "EarlyStopping": bp.EarlyStopping,
    "ReduceLROnPlateau": bp.ReduceLROnPlateau,
    "ModelCheckpoint": lambda monitor="val_loss", **options: bp.ModelCheckpoint("unused", monitor=monitor, **options),
}  # fmt: skip
monitors = pytest.mark.parametrize("make", MONITORS.values(), ids=MONITORS)


class Logs(bp.Callback):
    """Logs these values of a quantity, one an epoch; None: that epoch logs nothing."""

    def __init__(self, name: str, *values: float | None) -> None:
        self.name, self.values = name, values
        self.seen: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.seen.append(self.model.predict(X))
        if (value := self.values[epoch]) is not None:
            logs[self.name] = value


# ---- direction -------------------------------------------------------------------------------------------------------

LESS = (
    "val_loss",
    "loss",
    "val_brier_score",
    "val_log_loss",
    "val_max_error",
    "val_hinge_loss",
    "val_rmse",
    "val_1_mape",
    "error",
)
MORE = (
    "val_accuracy",
    "accuracy",
    "val_f1",
    "val_roc_auc_ovr",
    "val_0_r2",
    "val_matthews_corrcoef",
    "auc",
    "val_precision_macro",
)
BUMPS = (2.0, 1.0, 3.0, 0.5)


@pytest.mark.parametrize(("name", "best"), [*((name, 3) for name in LESS), *((name, 2) for name in MORE)])
def test_a_known_name_goes_its_way(name: str, best: int, tmp_path: Path) -> None:
    """The best of four epochs comes back, is the file, and keeps the rate."""
    logs = Logs(name, *BUMPS)
    plateau = bp.ReduceLROnPlateau(name, factor=0.5, patience=1, min_delta=0)
    checkpoint = bp.ModelCheckpoint(tmp_path / "best", monitor=name)
    model = small("cross_entropy", optimizer=optim.SGD(1.0))
    model.fit(X, LABELS, epochs=4, callbacks=[logs, bp.EarlyStopping(name, patience=9), plateau, checkpoint])
    assert np.array_equal(model.predict(X), logs.seen[best])
    assert np.array_equal(bp.load(tmp_path / "best").predict(X), logs.seen[best])
    assert model.lr == {3: 0.5, 2: 0.25}[best]


@pytest.mark.parametrize("name", ["val_mcc", "val_kappa", "gap", "lr", "val_f2", "val_my_loss", "val_"])
@monitors
def test_an_unknown_name_asks_for_a_mode(make: Any, name: str) -> None:
    model = small()
    with pytest.raises(
        ValueError, match=rf"monitor is '{name}', of which less or more.*mode='min' or mode='max'"
    ):
        model.fit(X, Y, callbacks=[Logs(name, 1.0), make(name)])
    assert model.engine.step_count[0] == 0


@pytest.mark.parametrize(("mode", "best"), [("min", 3), ("max", 2)])
@pytest.mark.parametrize("name", ["val_mcc", "val_loss", "val_accuracy"])
def test_a_mode_decides(name: str, mode: Any, best: int) -> None:
    logs, model = Logs(name, *BUMPS), small()
    model.fit(X, Y, epochs=4, callbacks=[logs, bp.EarlyStopping(name, patience=9, mode=mode)])
    assert np.array_equal(model.predict(X), logs.seen[best])


# ---- presence --------------------------------------------------------------------------------------------------------

GAPS = (None, None, 5.0, None, None, 4.0, None)


def test_a_metric_of_every_third_epoch(tmp_path: Path) -> None:
    path = tmp_path / "log"
    stopping = bp.EarlyStopping("val_f1", patience=9)
    with pytest.warns(RuntimeWarning, match="monitor is 'val_f1', but an epoch logged only") as told:
        history = small().fit(X, Y, epochs=7, callbacks=[Logs("val_f1", *GAPS), stopping, bp.CSVLogger(path)])
    assert len(told) == 1
    assert {name: len(values) for name, values in history.history.items()} == {
        "loss": 7,
        "lr": 7,
        "val_f1": 7,
    }
    assert history.history["val_f1"] == pytest.approx(
        [math.nan if v is None else v for v in GAPS], nan_ok=True
    )
    assert (stopping.best, stopping.wait) == (5.0, 1)
    with path.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["val_f1"] for row in rows] == ["", "", "5.0", "", "", "4.0", ""]
    assert [row["epoch"] for row in rows] == [*"0123456"]


@pytest.mark.parametrize(
    "values",
    [GAPS, (1.0, *[None] * 6), (*[None] * 6, 1.0), (None,) * 7],
    ids=["gaps", "first", "last", "never"],
)
@monitors
def test_epochs_without_the_metric_are_passed_over_and_told_once(
    make: Any, values: tuple[float | None, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, callback = small(optimizer=optim.SGD(1.0)), make("val_loss")
    if isinstance(callback, bp.EarlyStopping | bp.ReduceLROnPlateau):
        callback.patience = 3
    with pytest.warns(RuntimeWarning, match="epochs without it are passed over") as told:
        history = model.fit(X, Y, epochs=7, callbacks=[Logs("val_loss", *values), callback])
    assert len(told) == 1
    assert len(history.epoch) == 7
    assert model.lr == 1.0
    assert {len(column) for column in history.history.values()} == {7}


def test_gaps_are_kept_by_a_checkpoint_and_drawn(tmp_path: Path) -> None:
    model = small()
    history = model.fit(
        X, Y, epochs=7, callbacks=[Logs("val_f1", *GAPS), bp.ModelCheckpoint(tmp_path / "run")]
    )
    loaded = bp.load(tmp_path / "run")
    again = loaded.fit(X, Y, epochs=7, resume=True)
    assert again.history["val_f1"] == pytest.approx(history.history["val_f1"], nan_ok=True)
    pytest.importorskip("matplotlib")
    _, axes = again.plot().axes
    assert [y for y in axes.lines[0].get_ydata() if y == y] == [5.0, 4.0]


def test_two_metrics_that_take_turns(tmp_path: Path) -> None:
    callbacks = [Logs("a", 1.0, None, 2.0), Logs("b", None, 3.0, None), bp.CSVLogger(tmp_path / "log")]
    history = small().fit(X, Y, epochs=3, callbacks=callbacks).history
    assert history["a"] == pytest.approx([1, math.nan, 2], nan_ok=True)
    assert history["b"] == pytest.approx([math.nan, 3, math.nan], nan_ok=True)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == "epoch,loss,lr,a,b"
    assert [line.split(",")[3:] for line in lines[1:]] == [["1.0", ""], ["", "3.0"], ["2.0", ""]]


@pytest.mark.parametrize("validation", ["none", "arrays", "chunks", "split"])
@pytest.mark.parametrize("options", [{"epochs": 0}, {"max_seconds": 0}], ids=["no epochs", "no time"])
def test_a_run_without_a_whole_epoch_has_empty_columns(options: dict[str, Any], validation: str) -> None:
    held_out: dict[str, Any] = {
        "none": {}, "arrays": {"validation_data": (X, LABELS)}, "chunks": {"validation_data": [(X, LABELS)]},
        "split": {"validation_split": 0.2},
    }[validation]  # fmt: skip
    names = ["loss", "accuracy", *(["val_loss", "val_accuracy"] if held_out else []), "lr"]
    model = small("cross_entropy")
    history = model.fit(X, LABELS, batch_size=16, **options, **held_out)
    assert history.history == {name: [] for name in names}
    history = model.fit(X, LABELS, epochs=2, batch_size=16, resume=True, **held_out)
    assert {name: len(values) for name, values in history.history.items()} == dict.fromkeys(names, 2)


# ---- before the first step -------------------------------------------------------------------------------------------

UNREACHABLE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "EarlyStopping": (lambda path: bp.EarlyStopping(), "monitor is 'val_loss'.* it needs validation_data"),
    "ReduceLROnPlateau": (lambda path: bp.ReduceLROnPlateau(), "ReduceLROnPlateau: .* it needs validation_data"),
    "ModelCheckpoint": (lambda path: bp.ModelCheckpoint(path / "run", monitor="val_accuracy"), "it needs validation_data"),
    "accuracy of numbers": (lambda path: bp.EarlyStopping("accuracy"), r"monitor is 'accuracy', .* only \['loss', 'lr'\]"),
    "a typing error": (lambda path: bp.EarlyStopping("los"), "did you mean 'loss'"),
    "a missing folder": (lambda path: bp.ModelCheckpoint(path / "a" / "run"), "there is no folder .*a"),
    "onto a folder": (lambda path: bp.ModelCheckpoint(path), "it is a directory"),
    "a file for a folder": (lambda path: bp.ModelCheckpoint(Path(__file__) / "run"), "there is no folder"),
    "a log in a missing folder": (lambda path: bp.CSVLogger(path / "a" / "log"), "a.log"),
    "a log onto a folder": (lambda path: bp.CSVLogger(path), "directory|denied"),
}  # fmt: skip


@pytest.mark.parametrize("chunks", [False, True], ids=["arrays", "chunks"])
@pytest.mark.parametrize("what", UNREACHABLE)
def test_what_cannot_work_is_known_before_the_first_step(what: str, chunks: bool, tmp_path: Path) -> None:
    make, message = UNREACHABLE[what]
    model = small()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, OSError, bp.CheckpointError), match=message):
            model.fit(*([[(X, Y)]] if chunks else [X, Y]), callbacks=[make(tmp_path)])
    assert model.engine.step_count[0] == 0
    assert model.fit(X, Y).epoch == [0]


def test_a_tilde_is_the_home_folder_wherever_a_path_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    monitor, log = bp.GradientMonitor(), bp.CSVLogger("other")
    log.path = "~/log"
    model = small()
    callbacks = [monitor, log, bp.ModelCheckpoint("~/run")]
    chunks = [("~/x.npy", "~/y.npy")]
    history = model.fit(chunks, validation_data=chunks, callbacks=callbacks)
    model.save("~/saved")
    assert np.array_equal(bp.load("~/saved").predict(X), bp.load("~/run").predict(X))
    assert model.evaluate(chunks)["loss"] == history.history["val_loss"][0]
    expected = {"x.npy", "y.npy", "log", "run", "saved"}
    if model.summary():  # what is drawn needs matplotlib
        pytest.importorskip("matplotlib")
        history.plot("~/history.svg")
        monitor.plot("~/monitor.svg")
        model.plot_gradients("~/gradients.svg")
        expected |= {"history.svg", "monitor.svg", "gradients.svg"}
    assert {file.name for file in tmp_path.iterdir()} == expected
