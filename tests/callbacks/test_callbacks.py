"""Callbacks: when they are called, what they do, and that a failing one leaves the model usable."""

import csv
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
Y = X @ rng.standard_normal((4, 1))


def model(optimizer: Any = "adam", **options: Any) -> bp.Model:
    """A small regression."""
    return bp.Model(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), "mse", optimizer, **options)


class Record(bp.Callback):
    """Notes every call."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.logs: list[dict[str, float]] = []

    def on_train_begin(self, logs: Any) -> None:
        self.calls.append("begin")

    def on_epoch_begin(self, epoch: int, logs: Any) -> None:
        self.calls.append(f"epoch {epoch}")

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.calls.append(f"epoch {epoch} done")
        self.logs.append(dict(logs))

    def on_train_end(self, logs: Any) -> None:
        self.calls.append("end")


class Batches(Record):
    """Notes every batch as well."""

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        self.calls.append(f"batch {batch}")


class Pretend(bp.Callback):
    """Hands made-up validation losses to the callbacks behind it; must come first in the list."""

    def __init__(self, *losses: float) -> None:
        self.losses = losses
        self.weights: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        logs["val_loss"] = self.losses[len(self.weights)]
        self.weights.append(self.model.parameters()[0].copy())


# ---- when ----------------------------------------------------------------------------------------------------------


def test_order_and_logs() -> None:
    record, trained = Record(), model()
    history = trained.fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[record])
    assert record.calls == ["begin", "epoch 0", "epoch 0 done", "epoch 1", "epoch 1 done", "end"]
    assert [set(logs) for logs in record.logs] == [{"loss", "val_loss", "lr"}] * 2
    assert history.history["val_loss"] == [logs["val_loss"] for logs in record.logs]
    assert record.model is trained
    expected = {
        "epochs": 2, "steps": 2, "rows": len(X), "batch_size": 32, "progress": False, "metrics": ["loss", "val_loss", "lr"],
    }  # fmt: skip
    assert {name: record.params[name] for name in expected} == expected


def test_every_batch_only_where_asked() -> None:
    record = Batches()
    model().fit(X, Y, epochs=2, batch_size=25, callbacks=[record])
    batches = ["batch 0", "batch 1", "batch 2"]
    assert record.calls == [
        "begin",
        "epoch 0",
        *batches,
        "epoch 0 done",
        "epoch 1",
        *batches,
        "epoch 1 done",
        "end",
    ]


def test_watching_batches_changes_no_bit() -> None:
    plain, watched = model(), model()
    plain.fit(X, Y, epochs=3, batch_size=25)
    watched.fit(X, Y, epochs=3, batch_size=25, callbacks=[Batches()])
    assert all(np.array_equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))


class Plain:
    """Somebody's class that derives from nothing: two moments, a pace and a state."""

    def __init__(self) -> None:
        self.slices: list[int] = []
        self.ends = 0

    def on_slice_end(self, step: int, logs: Any) -> None:
        self.slices.append(step)

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.ends += 1
        self.model.stop_training = self.ends == 3  # type: ignore[attr-defined]

    def pace(self) -> int:
        return 4

    def state_dict(self) -> dict[str, Any]:
        return {"ends": self.ends}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.ends = state["ends"]


def test_any_object_with_some_of_the_methods_serves() -> None:
    plain, only = Plain(), SimpleNamespace(on_train_batch_end=lambda batch, logs: batches.append(batch))
    batches: list[int] = []
    trained = model()
    trained.fit(X, Y, epochs=1, batch_size=10, callbacks=[plain])
    assert plain.slices[-1] == 6
    assert max(np.diff([0, *plain.slices])) <= 4
    again = Plain()
    history = trained.fit(X, Y, epochs=10, batch_size=10, callbacks=[again, only], resume=True)
    assert len(history.epoch) == 3, "it goes on from the state of the first run, and stops at its third end"
    assert batches == [0, 1, 2, 3, 4, 5] * 2
    assert again.params["epochs"] == 9  # type: ignore[attr-defined]
    for wrong in (object(), print, SimpleNamespace(on_epoch_end=3), Plain):
        with pytest.raises(TypeError, match=r"callbacks\[0\] is .*such as on_epoch_end"):
            trained.fit(X, Y, callbacks=[wrong])


def test_slices_cover_the_epoch() -> None:
    seen: list[int] = []

    class Slices(bp.Callback):
        def on_slice_end(self, step: int, logs: Any) -> None:
            seen.append(step)
            assert math.isfinite(logs["loss"])

    model().fit(X, Y, epochs=1, batch_size=7, callbacks=[Slices()])
    assert seen == sorted(set(seen))
    assert seen[-1] == 9


def test_stop_training_inside_an_epoch() -> None:
    class Stop(Batches):
        def on_train_batch_end(self, batch: int, logs: Any) -> None:
            super().on_train_batch_end(batch, logs)
            self.model.stop_training = batch == 1

    stop, trained = Stop(), model()
    trained.fit(X, Y, epochs=5, batch_size=10, callbacks=[stop])
    assert stop.calls == ["begin", "epoch 0", "batch 0", "batch 1", "epoch 0 done", "end"]
    assert trained.engine.step_count[0] == 2
    trained.fit(X, Y, epochs=1, batch_size=10)  # starts again
    assert trained.engine.step_count[0] == 8


@pytest.mark.parametrize(
    "moment", ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_slice_end", "on_epoch_end"]
)
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_callback_that_raises_leaves_the_model_usable(moment: str, kind: type[BaseException]) -> None:
    def fail(self: bp.Callback, *arguments: Any) -> None:
        raise kind("out of paper")

    broken: Callable[[], bp.Callback] = type("Broken", (bp.Callback,), {moment: fail})
    record, trained = Record(), model()
    with pytest.raises(kind, match="out of paper"):
        trained.fit(X, Y, epochs=2, batch_size=10, callbacks=[record, broken()])
    assert record.calls[-1] == "end"  # who has begun hears of the end
    assert np.isfinite(trained.predict(X)).all()
    before = trained.evaluate(X, Y)["loss"]
    trained.fit(X, Y, epochs=20, batch_size=10)
    assert trained.evaluate(X, Y)["loss"] < before


# ---- what ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patience", "min_delta", "losses", "epochs"),
    [
        (1, 0.0, (3, 2, 2, 1), 3),
        (2, 0.0, (3, 2, 2, 1, 1, 1, 0), 6),
        (0, 0.0, (3, 2, 1, 1, 0), 4),
        (1, 0.5, (3, 2.6, 0), 2),
        (1, 0.0, (3, math.nan, 0), 2),
        (9, 0.0, (3, 4, 5, 6), 4),
    ],
)
def test_early_stopping_counts(
    patience: int, min_delta: float, losses: tuple[float, ...], epochs: int
) -> None:
    history = model().fit(
        X,
        Y,
        epochs=len(losses),
        callbacks=[Pretend(*losses), bp.EarlyStopping(patience=patience, min_delta=min_delta)],
    )
    assert len(history.epoch) == epochs


@pytest.mark.parametrize(("restore", "epoch"), [(True, 1), (False, 3)])
def test_early_stopping_restores_the_best(restore: bool, epoch: int) -> None:
    pretend, trained = Pretend(3, 1, 2, 2), model()
    trained.fit(X, Y, epochs=4, callbacks=[pretend, bp.EarlyStopping(patience=2, restore_best=restore)])
    assert np.array_equal(trained.parameters()[0], pretend.weights[epoch])
    assert not np.array_equal(pretend.weights[1], pretend.weights[3])


@pytest.mark.parametrize("every", ["1 epoch", "3 epochs", "2 steps"])
def test_a_checkpoint_has_the_weights_that_early_stopping_restored(every: str, tmp_path: Path) -> None:
    """Also where the last epoch was just written; and a run without it is written once."""
    path, trained = tmp_path / "run.safetensors", model()
    stopping, checkpoint = bp.EarlyStopping(patience=2), bp.ModelCheckpoint(path, every=every, keep=9)
    trained.fit(X, Y, epochs=9, callbacks=[checkpoint, Pretend(3, 1, 2, 2), stopping])
    loaded = bp.load(path)
    assert all(np.array_equal(a, b) for a, b in zip(trained.parameters(), loaded.parameters(), strict=True))
    plain = bp.ModelCheckpoint(tmp_path / "plain", every="1 epoch", keep=9)
    model().fit(X, Y, epochs=3, callbacks=[plain])
    assert {file.name for file in tmp_path.glob("plain*")} == {"plain", "plain.1", "plain.2"}


def test_early_stopping_restores_batch_statistics() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    trained = bp.Model(net, "mse")
    trained.fit(X, Y, epochs=3, batch_size=20, callbacks=[Pretend(1, 2, 3), bp.EarlyStopping(patience=5)])
    assert trained.state_dict()["1.num_batches_tracked"] == 3


def test_early_stopping_takes_more_accuracy_as_better() -> None:
    classifier = bp.Model(nn.Linear(4, 2), "cross_entropy", optim.Adam(lr=0.05))
    labels = (Y[:, 0] > 0).astype(int)
    stopping = bp.EarlyStopping(monitor="val_accuracy", patience=3)
    history = classifier.fit(X, labels, epochs=100, validation_data=(X, labels), callbacks=[stopping])
    accuracies = history.history["val_accuracy"]
    assert max(accuracies) > accuracies[0]
    assert classifier.evaluate(X, labels)["accuracy"] == max(accuracies) == stopping.best


def test_an_unknown_monitor_names_what_there_is() -> None:
    with pytest.raises(
        ValueError,
        match=r"EarlyStopping: monitor is 'val_loss', but an epoch logs only \['loss', 'lr'\]; it needs validation_data",
    ):
        model().fit(X, Y, callbacks=[bp.EarlyStopping()])


def test_a_monitored_quantity_is_a_number() -> None:
    class Text(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            logs["val_loss"] = "low"

    with pytest.raises(TypeError, match="monitor is 'val_loss', but its value is 'low', expected a number"):
        model().fit(X, Y, callbacks=[Text(), bp.EarlyStopping()])


def test_reduce_lr_on_plateau() -> None:
    trained = model(optim.SGD(lr=0.1))
    callback = bp.ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.03)
    history = trained.fit(X, Y, epochs=8, callbacks=[Pretend(3, 2, 2, 2, 2, 2, 2, 2), callback])
    assert history.history["lr"] == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03])
    assert trained.lr == pytest.approx(0.03)


def test_reduce_lr_cools_down(tmp_path: Path) -> None:
    """Two epochs after a reduction do not count, also where the run goes on from a checkpoint between them."""
    losses, path = (3, 3, 3, 3, 3, 3, 3, 3), tmp_path / "run.safetensors"
    whole, part = model(optim.SGD(lr=1.0)), model(optim.SGD(lr=1.0))
    cool = [bp.ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2) for _ in range(3)]
    rates = whole.fit(X, Y, epochs=8, callbacks=[Pretend(*losses), cool[0]]).history["lr"]
    assert rates == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    part.fit(X, Y, epochs=3, callbacks=[Pretend(*losses), cool[1]])
    part.save(path)
    loaded = bp.load(path)
    assert loaded.fit(X, Y, epochs=5, callbacks=[Pretend(*losses), cool[2]]).history["lr"] == rates[3:]
    with pytest.raises(ValueError, match="ReduceLROnPlateau: cooldown is -1, expected an integer"):
        bp.ReduceLROnPlateau(cooldown=-1)


def test_reduce_lr_changes_the_steps() -> None:
    before, trained = Pretend(3, 3, 3), model(optim.SGD(lr=0.1))
    trained.fit(X, Y, epochs=3, callbacks=[before, bp.ReduceLROnPlateau(factor=1e-6, patience=1)])
    moved = [float(np.abs(b - a).max()) for a, b in zip(before.weights, before.weights[1:], strict=False)]
    assert moved[1] < 1e-4 * moved[0]


def test_reduce_lr_refuses_a_schedule() -> None:
    scheduled = model(optim.SGD(lr=optim.schedules.cosine(0.1, 10)))
    with pytest.raises(ValueError, match="the optimizer has a schedule"):
        scheduled.fit(X, Y, callbacks=[bp.ReduceLROnPlateau("loss")])


@pytest.mark.parametrize("factor", [0, 1, 2])
def test_reduce_lr_checks_factor(factor: float) -> None:
    with pytest.raises(ValueError, match="factor is"):
        bp.ReduceLROnPlateau(factor=factor)


def test_csv_logger(tmp_path: Path) -> None:
    path, trained = tmp_path / "log.csv", model()
    first = trained.fit(X, Y, epochs=2, callbacks=[bp.CSVLogger(str(path))]).history["loss"]
    second = trained.fit(X, Y, epochs=1, callbacks=[bp.CSVLogger(str(path), append=True)]).history["loss"]
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "epoch,loss,lr"
    assert [(int(line.split(",")[0]), float(line.split(",")[1])) for line in lines[1:]] == list(
        enumerate(first + second)
    )
    trained.fit(X, Y, epochs=1, callbacks=[bp.CSVLogger(str(path))])
    assert len(path.read_text("utf-8").splitlines()) == 2  # without append it starts anew


def test_csv_logger_quotes_and_keeps_text(tmp_path: Path) -> None:
    class Odd(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            logs['loss, "half"'], logs["note"], logs["huge"] = logs["loss"] / 2, "a,\nb", 10**400

    path, trained = tmp_path / "log.csv", model()
    losses = trained.fit(X, Y, epochs=2, callbacks=[Odd(), bp.CSVLogger(path)]).history["loss"]
    trained.fit(X, Y, epochs=3, resume=True, callbacks=[Odd(), bp.CSVLogger(path)])
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row['loss, "half"']) for row in rows[:2]] == [loss / 2 for loss in losses]
    assert [(row["epoch"], row["note"]) for row in rows] == [("0", "a, b"), ("1", "a, b"), ("2", "a, b")]
    assert {row["huge"] for row in rows} == {"inf"}


def test_csv_logger_says_before_the_first_epoch_that_it_cannot_write(tmp_path: Path) -> None:
    trained = model()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        trained.fit(X, Y, callbacks=[bp.CSVLogger(tmp_path / "nowhere" / "log.csv")])
    assert trained.engine.step_count[0] == 0


class Poison(bp.Callback):
    """Makes the third batch overflow."""

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        if batch == 1:
            self.good = self.model.state_dict()
            self.model.load_state_dict(self.good | {"2.weight": self.good["2.weight"] * 0 + 1e38})
            self.model.load_state_dict(self.model.state_dict() | {"0.weight": self.good["0.weight"] * 1e3})


def test_non_finite_raises() -> None:
    trained = model()
    with pytest.raises(bp.NonFiniteError, match=r"step 2: .*is not finite") as caught:
        trained.fit(X, Y, epochs=2, batch_size=10, callbacks=[Poison()])
    assert caught.value.step == 2
    assert all(np.isfinite(array).all() for array in trained.parameters())


def test_terminate_on_nan_ends_quietly() -> None:
    record, poison, trained = Record(), Poison(), model()
    history = trained.fit(X, Y, epochs=2, batch_size=10, callbacks=[record, poison, bp.TerminateOnNaN()])
    assert record.calls == ["begin", "epoch 0", "end"]
    assert history.epoch == []
    trained.load_state_dict(poison.good)
    assert len(trained.fit(X, Y, epochs=2, batch_size=10).epoch) == 2  # usable


def test_progress_bar_with_tqdm(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    model().fit(X, Y, epochs=3, batch_size=10, progress=True)
    shown = capsys.readouterr().err
    assert "18/18" in shown
    assert "epoch 3/3" in shown
    assert "loss=" in shown


def test_a_run_that_was_stopped_early_has_a_complete_bar(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    stop = bp.EarlyStopping(monitor="loss", patience=1, min_delta=1e9)
    model().fit(X, Y, epochs=50, batch_size=10, progress=True, callbacks=[stop])
    assert "12/12" in capsys.readouterr().err


def test_progress_bar_without_tqdm(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    options: dict[str, Any] = {"batch_size": 10, "validation_data": (X, Y), "callbacks": [bp.ProgressBar()]}
    trained = model()
    trained.fit(X, Y, epochs=2, **options)
    trained.fit(X, Y, epochs=3, resume=True, **options)  # the third of three
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2", "epoch 3/3"]
    assert all("loss" in line and "val_loss" in line for line in lines)


@pytest.mark.parametrize(
    ("monitor", "mode", "greater"),
    [
        ("val_loss", "auto", False),
        ("val_accuracy", "auto", True),
        ("val_f1_macro", "auto", True),
        ("val_r2", "auto", True),
        ("val_roc_auc", "auto", True),
        ("val_mse", "auto", False),
        ("val_loss", "max", True),
        ("val_accuracy", "min", False),
    ],
)
def test_mode_says_what_is_better(monitor: str, mode: str, greater: bool) -> None:
    for callback in (
        bp.EarlyStopping(monitor, mode=mode),
        bp.ReduceLROnPlateau(monitor, mode=mode),
        bp.ModelCheckpoint("x", monitor=monitor, mode=mode),
    ):
        assert callback.improved({monitor: 1.0})
        assert callback.improved({monitor: 2.0}) == greater
    with pytest.raises(ValueError, match="mode is 'most', expected 'auto', 'min' or 'max'"):
        bp.EarlyStopping(monitor, mode="most")
