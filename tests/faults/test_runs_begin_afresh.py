"""Faults of kind B: what a callback remembers belongs to its run, and a second fit is a new run unless resume=True."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from helpers.nets import LABELS, X, Y, small


class Losses(bp.Callback):
    """Made-up validation losses for the callbacks behind it."""

    def __init__(self, *losses: float) -> None:
        self.losses = losses
        self.first = 0

    def on_train_begin(self, logs: Any) -> None:
        self.first = self.model.epoch

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        logs["val_loss"] = self.losses[epoch - self.first]


GOOD, WORSE = (3.0, 2.0, 1.0), (9.0, 8.0, 7.0, 6.0)
objects = pytest.mark.parametrize("same", [False, True], ids=["another object", "the same object"])


def two_fits(make: Callable[[], Any], same: bool, model: bp.Model | None = None) -> tuple[Any, bp.Model]:
    """A good run and then one that is worse in all of its epochs, though better from each to the next."""
    model = model or small(optimizer=optim.SGD(0.1))
    first = make()
    start = model.state_dict()
    model.fit(X, Y, epochs=3, callbacks=[Losses(*GOOD), first])
    model.load_state_dict(start)
    second = first if same else make()
    model.fit(X, Y, epochs=4, callbacks=[Losses(*WORSE), second])
    return second, model


@pytest.mark.parametrize("patience", [1, 5])
def test_an_earlier_run_does_not_stop_a_later_one(patience: int) -> None:
    model = small(optimizer=optim.SGD(1e-3))
    start = model.state_dict()
    stopping = bp.EarlyStopping(patience=100)
    model.fit(X, Y, epochs=20, validation_data=(X, Y), callbacks=[stopping])
    model.load_state_dict(start)
    history = model.fit(
        X, Y, epochs=40, validation_data=(X, Y), callbacks=[bp.EarlyStopping(patience=patience)]
    )
    assert len(history.epoch) == 40
    assert model.evaluate(X, Y)["loss"] == min(history.history["val_loss"]) == history.history["val_loss"][-1]


@objects
def test_early_stopping(same: bool) -> None:
    stopping, model = two_fits(lambda: bp.EarlyStopping(patience=1), same)
    assert (stopping.best, stopping.wait, model.epoch) == (6.0, 0, 7)


@objects
def test_reduce_lr(same: bool) -> None:
    _, model = two_fits(lambda: bp.ReduceLROnPlateau(patience=1), same)
    assert model.lr == 0.1


@objects
def test_cooling_is_of_the_run(same: bool) -> None:
    """The first run ends within its cooldown; the second counts from its first epoch on."""
    model, make = (
        small(optimizer=optim.SGD(1.0)),
        lambda: bp.ReduceLROnPlateau(factor=0.5, patience=1, cooldown=99),
    )
    first = make()
    model.fit(X, Y, epochs=2, callbacks=[Losses(1, 1), first])
    assert model.lr == 0.5
    model.fit(X, Y, epochs=2, callbacks=[Losses(1, 1), first if same else make()])
    assert model.lr == 0.25


@objects
def test_a_checkpoint_of_the_best_epoch(same: bool, tmp_path: Path) -> None:
    """The second run's file is there, though the first was better."""
    path = tmp_path / "run"
    _, model = two_fits(lambda: bp.ModelCheckpoint(path, monitor="val_loss"), same)
    assert bp.load(path).epoch == 7
    assert np.array_equal(bp.load(path).predict(X), model.predict(X))


@objects
def test_a_log(same: bool, tmp_path: Path) -> None:
    two_fits(lambda: bp.CSVLogger(tmp_path / "log"), same)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "3", "4", "5", "6"]


@objects
def test_a_monitor_and_what_it_found_before(same: bool) -> None:
    model, monitor = small(), bp.GradientMonitor("1 step")
    model.fit(X, Y, batch_size=35, callbacks=[monitor])
    kept = monitor.history
    before = deepcopy(kept)
    second = monitor if same else bp.GradientMonitor("1 step")
    model.fit(X, Y, batch_size=35, epochs=2, callbacks=[second])
    assert kept == before, "samples of an earlier run have changed"
    assert second.history["step"] == [3, 4, 5, 6]
    if not same:
        assert monitor.history == before


def test_the_best_weights_of_an_earlier_run_do_not_come_back() -> None:
    """Not where the second run ends before its first epoch does, nor where nobody logged the quantity."""
    model, stopping = small(), bp.EarlyStopping("val_loss", patience=9)
    model.fit(X, Y, epochs=3, callbacks=[Losses(1, 2, 3), stopping])
    for options in ({"epochs": 0}, {"max_seconds": 0}):
        model.load_state_dict({key: value + 1 for key, value in model.state_dict().items()})
        before = model.parameters()[0].copy()
        model.fit(X, Y, callbacks=[Losses(1), stopping], **options)
        assert np.abs(model.parameters()[0] - before).max() < 0.1


def test_one_callback_may_watch_one_model_after_another() -> None:
    stopping = bp.EarlyStopping(patience=1)
    two_fits(lambda: stopping, True)
    _, second = two_fits(lambda: stopping, True, small(optimizer="adam"))
    assert second.epoch == 7


class Counter:
    """Somebody's callback, with a state."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.calls.append(epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"calls": self.calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.calls = [*state["calls"], "resumed"]


def test_a_state_is_handed_on_to_a_run_that_is_resumed_alone() -> None:
    model, second, resumed = small(), Counter(), Counter()
    model.fit(X, Y, epochs=1, callbacks=[Counter()])
    model.fit(X, Y, epochs=2, callbacks=[second])
    assert second.calls == [1, 2]
    model.fit(X, Y, epochs=3, callbacks=[resumed], resume=True)
    assert resumed.calls == [1, 2, "resumed", 3]


@pytest.mark.parametrize("resume", [False, True])
def test_the_history_of_a_run_stays_as_it_was(resume: bool) -> None:
    model = small()
    first = model.fit(X, Y, epochs=2)
    before = deepcopy(first.history), [*first.epoch]
    second = model.fit(X, Y, epochs=3, resume=resume)
    assert (first.history, first.epoch) == before
    assert second.epoch == ([0, 1, 2] if resume else [2, 3, 4])


@pytest.mark.parametrize("how", ["an exception", "max_seconds", "a callback"])
def test_a_run_that_was_interrupted_leaves_nothing_to_the_next(how: str) -> None:
    class Ends(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            if how == "an exception":
                raise RuntimeError("an accident")
            self.model.stop_training = how == "a callback"

    model = small()
    options: dict[str, Any] = {"max_seconds": 0.0} if how == "max_seconds" else {}
    try:
        model.fit(
            X, Y, epochs=9, batch_size=16, callbacks=[Losses(*GOOD), bp.EarlyStopping(), Ends()], **options
        )
    except RuntimeError:
        assert how == "an exception"
    stopping = bp.EarlyStopping(patience=1)
    history = model.fit(X, Y, epochs=4, callbacks=[Losses(*WORSE), stopping])
    assert len(history.epoch) == 4
    assert not model.stop_training


# ---- the same data ---------------------------------------------------------------------------------------------------


def with_one(array: np.ndarray, row: int) -> np.ndarray:
    """The same but for one number, by the least that shows."""
    out = array.copy()
    out.reshape(len(out), -1)[row, -1] += (
        1 if out.dtype.kind == "i" else np.spacing(out.reshape(len(out), -1)[row, -1])
    )
    return out


def exchanged(array: np.ndarray) -> np.ndarray:
    out = array.copy()
    out[[40, 41]] = out[[41, 40]]
    return out


WEIGHT = np.linspace(1, 2, 70)
DATA: dict[str, Any] = {
    "X": X, "y": LABELS % 2, "sample_weight": WEIGHT, "class_weight": {0: 1.0, 1: 2.0},
    "validation_data": (X[:50], LABELS[:50] % 2),
}  # fmt: skip
OTHER: dict[str, dict[str, Any]] = {
    **{f"a label, row {row}": {"y": with_one(LABELS % 2, row)} for row in (0, 33, 50, 69)},
    **{f"a number, row {row}": {"X": with_one(X, row)} for row in (1, 37, 68)},
    "a weight": {"sample_weight": with_one(WEIGHT.astype(np.float32), 37)},
    "no weights": {"sample_weight": None},
    "a weight of a class": {"class_weight": {0: 1.0, 1: 2.5}},
    "a label held out": {"validation_data": (X[:50], with_one(LABELS[:50] % 2, 37))},
    "a number held out": {"validation_data": (with_one(X[:50], 21), LABELS[:50] % 2)},
    "nothing held out": {"validation_data": None},
    "two rows exchanged": {"X": exchanged(X), "y": exchanged(LABELS % 2), "sample_weight": exchanged(WEIGHT)},
}  # fmt: skip


def interrupted(**data: Any) -> bp.Model:
    model = small("cross_entropy")
    model.fit(epochs=2, batch_size=16, max_seconds=0, **data)
    return model


@pytest.mark.parametrize("what", OTHER)
def test_other_data_cannot_go_on_with_a_run(what: str) -> None:
    model = interrupted(**DATA)
    with pytest.raises(ValueError, match=r"resume is True, but .* not those of the interrupted run"):
        model.fit(epochs=2, resume=True, **DATA | OTHER[what])
    assert len(model.fit(epochs=2, resume=True, **DATA).epoch) == 2


def in_chunks(y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [*zip(np.split(X, [20, 50]), np.split(y, [20, 50]), strict=True)]


@pytest.mark.parametrize("form", ["chunks", "labels of a sparse matrix", "a sparse matrix"])
@pytest.mark.parametrize("row", [0, 37, 69])
def test_a_number_in_a_chunk_or_in_a_sparse_matrix(row: int, form: str) -> None:
    y = LABELS % 2
    if form == "chunks":
        data, other = (in_chunks(y),), (in_chunks(with_one(y, row)),)
    else:
        sparse = pytest.importorskip("scipy.sparse")
        data = sparse.csr_matrix(X), y
        other = (data[0], with_one(y, row)) if "labels" in form else (sparse.csr_matrix(with_one(X, row)), y)
    model = small("cross_entropy")
    model.fit(*data, epochs=2, batch_size=16, max_seconds=0)
    with pytest.raises(ValueError, match="not those of the interrupted run"):
        model.fit(*other, epochs=2, resume=True)
    assert len(model.fit(*data, epochs=2, resume=True).epoch) == 2


def test_the_same_numbers_in_another_form_are_the_same_data(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    for same in (
        X.astype(np.float64),
        X.tolist(),
        np.asfortranarray(X),
        np.load(tmp_path / "x.npy", mmap_mode="r"),
    ):
        model = interrupted(**DATA)
        assert len(model.fit(epochs=2, resume=True, **DATA | {"X": same}).epoch) == 2


def test_a_copy_of_a_model_has_runs_of_its_own() -> None:
    model = small()
    model.fit(X, Y, epochs=3, max_seconds=0)
    other = deepcopy(model)
    other.fit(X + 1, Y, epochs=1)
    assert len(model.fit(X, Y, epochs=3, resume=True).epoch) == 3


def test_batch_statistics_belong_to_the_weights_that_come_back() -> None:
    """Not a callback's, but of the same kind: what load_state_dict brings back is the whole start of a run."""
    model = bp.Model(
        nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), optimizer=optim.SGD(0.1)
    )
    start = model.state_dict()
    first = model.fit(X, Y, epochs=2, shuffle=False, validation_data=(X, Y)).history
    model.load_state_dict(start)
    assert model.fit(X, Y, epochs=2, shuffle=False, validation_data=(X, Y)).history == first
