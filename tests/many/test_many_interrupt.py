"""Ctrl-C ends all models at their next step, and what they had stands; progress shows all of them."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import numpy as np
import pytest

import backpass as bp
from helpers.nets import small
from helpers.processes import ENVIRONMENT
from helpers.random_models import LABELS, X, state_of

LONG = np.resize(X, (60_000, 6)), np.resize(LABELS, 60_000)


@pytest.mark.skipif(sys.platform == "win32", reason="raises a signal")
def test_ctrl_c_keeps_what_stands_and_resume_goes_on() -> None:
    # A shell starts what runs in the background with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    models = [small("cross_entropy", seed=s) for s in range(3)]
    at: list[float] = []

    thread = threading.Thread(target=_kill_main, args=(models, at))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        bp.fit_many(models, *LONG, epochs=4000, batch_size=50, threads=2)
    took = time.perf_counter() - at[0]
    thread.join()
    assert took < 0.2 + 0.3, f"{took:.2f} s"  # 0.2 s, and what other tests beside this one take
    assert not any("backpass-many" in thread.name for thread in threading.enumerate())
    steps = [int(model.engine.step_count[0]) for model in models]
    assert min(steps[:2]) > 10
    assert steps[2] == 0
    epochs = max(model.epoch for model in models) + 1
    runs = bp.fit_many(models, *LONG, epochs=epochs, batch_size=50, threads=2, resume=True)
    assert [row["epochs"] for row in runs.rows] == [epochs] * 3
    whole = small("cross_entropy", seed=1)
    whole.fit(*LONG, epochs=epochs, batch_size=50)
    assert state_of(models[1]) == state_of(whole)


def _kill_main(models: list[bp.Model], at: list[float]) -> None:
    while not all(model.engine.step_count[0] > 10 for model in models[:2]):
        time.sleep(0.005)
    at.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)


def test_an_exit_in_a_callback_ends_all() -> None:
    class Exits(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            raise SystemExit(3)

    models = [small("cross_entropy", seed=s) for s in range(4)]
    with pytest.raises(SystemExit):
        bp.fit_many(models, *LONG, epochs=50, callbacks=[[Exits()], [], [], []], threads=2)
    assert models[3].epoch == 0


def test_progress_without_tqdm_is_a_line_for_each_model() -> None:
    code = """
        import sys; sys.modules["tqdm"] = None; sys.modules["tqdm.auto"] = None
        import numpy as np, backpass as bp; from backpass import nn
        X, y = np.ones((20, 2), np.float32), np.ones(20)
        models = [bp.Model(nn.Linear(2, 1), seed=s) for s in range(3)] + [bp.Model(nn.Linear(3, 1))]
        bp.fit_many(models, X, y, progress=True, epochs=2, threads=1)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("1/4  model 0  loss ")
    assert lines[3].startswith("4/4  model 3  ValueError  ")


def test_progress_with_tqdm(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    models = [small("cross_entropy", seed=s) for s in range(2)]

    class Lingers(bp.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            time.sleep(0.15)

    bp.fit_many(models, *LONG, epochs=4, threads=2, progress=True, callbacks=[Lingers()])
    shown = capsys.readouterr().err
    assert "2/2" in shown
    assert "model 1  epoch " in shown
