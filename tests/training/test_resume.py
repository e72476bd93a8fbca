"""Training that goes on from a checkpoint, in another process too, comes to the same bits."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from helpers.checkpoints import (
    LABELS,
    LABELS_V,
    OPTIMIZERS,
    XV,
    Every,
    Stop,
    X,
    bits,
    fit,
    model,
    own_loss,
    stopping,
)
from helpers.processes import ENVIRONMENT

CASES: dict[str, Callable[[], bp.Model]] = {
    **{name: lambda make=make: model(make()) for name, make in OPTIMIZERS.items()},
    "float64": lambda: model(dtype="float64", seed=2**63 - 1),
    "weighted": lambda: model(loss=nn.CrossEntropyLoss(np.array([1, 2, 0.3]), label_smoothing=0.1)),
    "numpy": lambda: model(backend="numpy"),
    "early_best": lambda: model(optim.SGD(0.2)),
    "early_last": lambda: model(optim.SGD(0.2)),
    "plateau": lambda: model(optim.SGD(0.2)),
    "callable": lambda: model(loss=own_loss),
}


def go_on(folder: Path) -> None:
    """The second process: load each file, train on, print the bits."""
    found = {}
    for name in CASES:
        options = {"loss": own_loss} if name == "callable" else {}
        backend = "numpy" if name == "numpy" else "auto"
        loaded = bp.load(folder / f"{name}.safetensors", backend, **options)
        found[name] = bits(fit(loaded, 10, name, resume=True))
    print(json.dumps(found))


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """fit(4), save, new process, load, the other 6 epochs: the bits of every case."""
    folder = tmp_path_factory.mktemp("resumed")
    for name, make in CASES.items():
        fit(make(), 4, name).save(folder / f"{name}.safetensors")
    command = f"import training.test_resume as t, pathlib; t.go_on(pathlib.Path({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", command],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", CASES)
def test_ten_epochs_are_four_and_six(name: str, resumed: dict[str, Any]) -> None:
    whole = fit(CASES[name](), 10, name)
    assert resumed[name] == bits(whole)
    assert bits(fit(fit(CASES[name](), 4, name), 10, name, resume=True)) == bits(whole)  # in one process, too


def test_early_stopping_had_something_to_do() -> None:
    best, last = fit(CASES["early_best"](), 10, "early_best"), fit(CASES["early_last"](), 10, "early_last")
    assert bits(best) != bits(last)
    rates = [fit(CASES["plateau"](), epochs, "plateau").lr for epochs in (4, 10)]
    assert rates[1] < rates[0]


@pytest.mark.parametrize("loss", ["cross_entropy", own_loss])
@pytest.mark.parametrize("steps", [2, 3, 5, 6, 7, 10, 11, 14])
def test_resume_in_mid_epoch(tmp_path: Path, steps: int, loss: Any) -> None:
    path, options = tmp_path / "run.safetensors", {} if isinstance(loss, str) else {"loss": loss}
    arguments: dict[str, Any] = {"batch_size": 20, "validation_data": (XV, LABELS_V)}
    whole, broken = model(loss=loss), model(loss=loss)
    history = whole.fit(X, LABELS, epochs=3, callbacks=[stopping(False)], **arguments)
    callbacks = [bp.ModelCheckpoint(path, every="1 step"), Stop(steps), stopping(False)]
    with pytest.raises(RuntimeError, match="an accident"):
        broken.fit(X, LABELS, epochs=3, callbacks=callbacks, **arguments)
    loaded = bp.load(path, **options)
    assert loaded.engine.step_count[0] == steps - 1  # the accident came before the checkpoint of its slice
    again = loaded.fit(
        X, LABELS, epochs=3, validation_data=(XV, LABELS_V), callbacks=[stopping(False)], resume=True
    )
    assert bits(loaded) == bits(whole)
    assert again.history == history.history
    assert again.epoch == history.epoch
    broken.fit(
        X, LABELS, epochs=3, callbacks=[stopping(False)], resume=True, **arguments
    )  # in the same process
    assert bits(broken) == bits(whole)


def test_resume_without_shuffling_and_with_weights(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"epochs": 3, "sample_weight": np.arange(90.0), "class_weight": "balanced"}
    whole, part = model(), model()
    whole.fit(X, LABELS, batch_size=7, shuffle=False, **arguments)
    part.fit(X, LABELS, batch_size=7, shuffle=False, max_seconds=0, **arguments)
    part.save(tmp_path / "part")
    loaded = bp.load(tmp_path / "part")
    loaded.fit(X, LABELS, resume=True, **arguments)  # batch_size and shuffle are taken over
    assert bits(loaded) == bits(whole)


def test_many_short_runs_make_a_long_one(tmp_path: Path) -> None:
    whole, path = model("nadam"), tmp_path / "run"
    whole.fit(X, LABELS, epochs=4, batch_size=20)
    model("nadam").save(path)
    runs, part = 0, bp.load(path)
    while part.epoch < 4:
        part, runs = bp.load(path), runs + 1
        part.fit(X, LABELS, epochs=4, batch_size=20, max_seconds=0, callbacks=[Every()], resume=True)
        part.save(path)
    assert runs >= 20  # a step each
    assert bits(part) == bits(whole)


def test_max_seconds() -> None:
    big = np.resize(X, (200_000, 6))
    trained = model()
    history = trained.fit(big, np.resize(LABELS, len(big)), epochs=1000, batch_size=10, max_seconds=0.2)
    run = trained.engine.last_run
    assert run is not None
    assert trained.engine.step_count[0] == len(history.epoch) * 20_000 + -(-run.position.rows // 10) > 0
    with pytest.raises(ValueError, match="max_seconds is -1, expected None or a number of at least 0"):
        trained.fit(big, np.resize(LABELS, len(big)), max_seconds=-1)


def test_resume_after_the_end_and_from_nothing() -> None:
    fresh, whole = model(), model()
    fresh.fit(X, LABELS, epochs=2, resume=True)
    fresh.fit(X, LABELS, epochs=2, resume=True)  # nothing is left to do
    fresh.fit(X, LABELS, epochs=5, resume=True)  # counts from the start of the run
    whole.fit(X, LABELS, epochs=5)
    assert bits(fresh) == bits(whole)


def test_a_run_that_was_stopped_early_is_over(tmp_path: Path) -> None:
    def fitted(trained: bp.Model, **options: Any) -> bp.History:
        callbacks = [bp.ModelCheckpoint(tmp_path / "run"), bp.EarlyStopping("val_loss", patience=1)]
        return trained.fit(
            X, LABELS, epochs=60, validation_data=(XV, LABELS_V), callbacks=callbacks, **options
        )

    trained = model(optim.SGD(0.5))
    stopped = len(fitted(trained).epoch)
    assert stopped < 60
    loaded = bp.load(tmp_path / "run")
    assert len(fitted(loaded, resume=True).epoch) == stopped
    assert bits(loaded) == bits(trained)  # the best weights came back
    assert len(fitted(loaded).epoch) >= 2  # a new run has new patience


def test_new_data_make_a_new_run(tmp_path: Path) -> None:
    trained = fit(model(), 4, "early_best")
    other = X + 1
    callback = stopping(True)
    callback.patience = 1000
    trained.fit(other, LABELS, epochs=3, validation_data=(XV + 1, LABELS_V), callbacks=[callback])
    assert trained.engine.last_run is not None
    losses = trained.engine.last_run.history.history["val_loss"]
    assert len(losses) == 3
    assert callback.best == min(losses)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": X[:80], "y": LABELS[:80]}, "X, y, sample_weight or class_weight are not those"),
        ({"X": X + 1}, "X, y, sample_weight or class_weight are not those"),
        ({"y": (LABELS + 1) % 3}, "X, y, sample_weight or class_weight are not those"),
        ({"sample_weight": np.ones(90)}, "X, y, sample_weight or class_weight are not those"),
        ({"validation_data": (X, LABELS)}, "validation_data are not those"),
        ({"batch_size": 21}, "batch_size is 21, but in the interrupted run it was 20"),
        ({"shuffle": False}, "shuffle is False, but in the interrupted run it was True"),
    ],
)
def test_resume_wants_the_same_run(change: dict[str, Any], message: str) -> None:
    trained = model()
    trained.fit(X, LABELS, epochs=2, batch_size=20, max_seconds=0)
    before = bits(trained)
    with pytest.raises(ValueError, match=message):
        trained.fit(**({"X": X, "y": LABELS, "epochs": 2, "resume": True} | change))
    assert bits(trained) == before
    trained.step(X[:5], LABELS[:5])
    with pytest.raises(ValueError, match="the model made other steps"):
        trained.fit(X, LABELS, epochs=2, resume=True)


def test_resume_says_what_is_missing() -> None:
    trained = model()
    trained.fit(X, LABELS, epochs=9, max_seconds=0, callbacks=[bp.EarlyStopping("loss", patience=5)])
    with pytest.warns(UserWarning, match="the interrupted run had EarlyStopping among its callbacks"):
        trained.fit(X, LABELS, epochs=1, resume=True)
    trained.fit(X, LABELS, epochs=9, max_seconds=0, callbacks=[bp.EarlyStopping("loss", patience=5)])
    with pytest.raises(ValueError, match=r"EarlyStopping cannot go on: .*monitor is 'lr', but"):
        trained.fit(X, LABELS, epochs=2, resume=True, callbacks=[bp.EarlyStopping("lr", mode="min")])


@pytest.mark.parametrize("which", ["best_state", "last_state"])
def test_the_state_of_a_callback_fits_the_network_or_is_refused(which: str) -> None:
    def stopping() -> bp.EarlyStopping:
        return bp.EarlyStopping("loss", patience=5)

    trained = model()
    trained.fit(X, LABELS, epochs=9, max_seconds=0, callbacks=[stopping()])
    assert trained.engine.last_run is not None
    [(name, state)] = trained.engine.last_run.states
    trained.engine.last_run.states = [(name, state | {which: {"another": np.zeros(3)}, "best": -99.0})]
    with pytest.raises(ValueError, match=r"EarlyStopping cannot go on: .*unknown keys \['another'\]"):
        trained.fit(X, LABELS, epochs=9, resume=True, callbacks=[stopping()])
    afresh = stopping()
    trained.fit(X, LABELS, epochs=1, callbacks=[afresh])
    assert afresh.best > 0  # nothing of the state that does not fit was taken


def test_csv_log_goes_on(tmp_path: Path) -> None:
    logs = [tmp_path / "whole.csv", tmp_path / "parts.csv"]
    whole = model()
    whole.fit(X, LABELS, epochs=6, batch_size=20, callbacks=[bp.CSVLogger(str(logs[0]))])
    part = model()
    checkpoints = bp.ModelCheckpoint(tmp_path / "run", every="3 epochs")
    with pytest.raises(RuntimeError, match="an accident"):
        part.fit(
            X, LABELS, epochs=6, batch_size=20, callbacks=[bp.CSVLogger(str(logs[1])), checkpoints, Stop(22)]
        )
    assert len(logs[1].read_text().splitlines()) == 5  # four epochs, one more than the checkpoint has seen
    with open(logs[1], "a") as file:
        file.write("4,0.5")  # the beginning of another
    loaded = bp.load(tmp_path / "run")
    loaded.fit(X, LABELS, epochs=6, callbacks=[bp.CSVLogger(str(logs[1]))], resume=True)
    assert logs[0].read_text() == logs[1].read_text()


def test_a_copy_resumes_like_the_original() -> None:
    import copy

    whole, part = model(), model()
    whole.fit(X, LABELS, epochs=2, batch_size=20)
    part.fit(X, LABELS, epochs=2, batch_size=20, max_seconds=0)
    other = copy.deepcopy(part)
    other.fit(X, LABELS, epochs=2, resume=True)
    assert bits(other) == bits(whole)
