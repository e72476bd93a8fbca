"""Signals in the middle of a run: it goes on to the same bits, a handler may save; and what a run refuses within itself."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.backends import once
from helpers.processes import ENVIRONMENT, LONG

pytestmark = [once, pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no SIGUSR1 on this system")]
X = np.random.default_rng(0).standard_normal((4000, 8)).astype(np.float32)
Y = np.arange(4000) % 3


def tell() -> None:
    signal.raise_signal(signal.SIGUSR1)


def test_interrupted_at_random_moments() -> None:
    command = [sys.executable, LONG / "interrupts.py", "--rounds", "2"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("backend", bp.available_backends())
def test_a_handler_may_save_but_not_compute(backend: str, tmp_path: Path) -> None:
    model = bp.Model(
        nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 3)), "cross_entropy", backend=backend
    )
    model.fit(X, Y, batch_size=100)
    errors, saved = [], []

    def handler(*_: Any) -> None:
        model.save(tmp_path / "run")
        saved.append(model.state_dict())
        for call in (lambda: model.predict(X[:2]), lambda: model.fit(X, Y), lambda: model.step(X, Y)):
            try:
                call()
            except RuntimeError as error:
                errors.append(str(error))

    class Kill(threading.Thread):
        def run(self) -> None:
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        Kill().start()
        while not saved:
            model.fit(X, Y, epochs=20, batch_size=100)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert bp.load(tmp_path / "run").engine.last_run is not None
    assert all("a signal handler may save it" in e or "while another fit" in e for e in errors)


def test_the_reading_of_a_chunk_is_interrupted_at_once(tmp_path: Path) -> None:
    """Not held, for it may take long; the handler saves and raises, and both models go on to the same bits."""

    class Chunks:
        def __init__(self, last: int) -> None:
            self.left = last

        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
            self.left -= 1
            if not self.left:
                tell()
                waited.append(i)
            return X[i * 150 : (i + 1) * 150], Y[i * 150 : (i + 1) * 150]

    def stop(*_: Any) -> None:
        model.save(tmp_path / "run")
        raise OSError("told")

    def parameters(model: bp.Model) -> list[np.ndarray]:
        history = model.fit(Chunks(99), epochs=2, batch_size=40, resume=True).history
        return [*model.parameters(), np.array(history["loss"])]

    waited: list[int] = []
    whole = parameters(bp.Model(nn.Linear(8, 3), "cross_entropy"))
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        for read in range(4, 10):  # all three are read once before the first epoch
            model = bp.Model(nn.Linear(8, 3), "cross_entropy")
            with pytest.raises(OSError, match="told"):
                model.fit(Chunks(read), epochs=2, batch_size=40)
            for it in (model, bp.load(tmp_path / "run")):
                assert all(map(np.array_equal, parameters(it), whole))
        assert not waited
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_second_fit_within_the_first_is_refused() -> None:
    model = bp.Model(nn.Linear(8, 3), "cross_entropy")

    class Nested(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            with pytest.raises(RuntimeError, match="fit was called while another fit of this model goes on"):
                self.model.fit(X, Y)

    whole = bp.Model(nn.Linear(8, 3), "cross_entropy")
    whole.fit(X, Y, epochs=2)
    model.fit(X, Y, epochs=2, callbacks=[Nested()])
    assert np.array_equal(model.parameters()[0], whole.parameters()[0])
    model.fit(X, Y)


def test_a_loss_that_uses_its_own_model() -> None:
    def loss(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        model.predict(X[:32])
        if wrong:
            model.forward(X[:32], training=True)  # would overwrite what backward needs
        return float((pred**2).mean()), 2 * pred / pred.size

    model, wrong = bp.Model(nn.Linear(8, 3), loss), False
    model.fit(X, Y, batch_size=32)
    wrong = True
    for call in (lambda: model.fit(X, Y, batch_size=32), lambda: model.step(X[:32], Y[:32])):
        with pytest.raises(RuntimeError, match=r"the loss called forward\(training=True\) of its own model"):
            call()
    wrong = False
    model.fit(X, Y)


@pytest.mark.parametrize("moment", ["on_epoch_end", "on_train_end"])
def test_what_has_ended_has_ended_for_every_callback(moment: str, tmp_path: Path) -> None:
    """A callback that raises does not keep the others, behind it, from being told."""

    def fail(self: Any, *_: Any) -> None:
        raise OSError("an accident")

    fails = type("Fails", (bp.Callback,), {moment: fail})()
    stopping, saving = bp.EarlyStopping("loss", patience=5), bp.ModelCheckpoint(tmp_path / "run")
    model = bp.Model(nn.Linear(8, 3), "cross_entropy")
    with pytest.raises(OSError, match="an accident"):
        model.fit(X, Y, epochs=2, callbacks=[fails, stopping, saving])
    epochs = 1 if moment == "on_epoch_end" else 2
    assert model.epoch == bp.load(tmp_path / "run").epoch == epochs
    assert stopping.last_state is not None
