"""Kill a training run with SIGKILL at random moments: it resumes from its last checkpoint and ends with the same bits.

    python tests/long/kills.py --kills 200 --seed 0

tests/checkpoint/test_checkpoint_files.py runs a few kills, `nox -s long` two hundred.
"""

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn, optim

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 8)).astype(np.float32)
Y = RNG.integers(0, 3, 600)
EPOCHS = 30


def new(loss: Any = "cross_entropy", backend: str = "auto") -> bp.Model:
    """A model with everything that has a state of its own."""
    net = nn.Sequential(
        nn.MixUp(),
        nn.Linear(8, 24),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Residual(nn.Linear(24, 24), nn.GELU()),
        nn.Linear(24, 3),
    )
    return bp.Model(net, loss, optim.AdamW(lr=optim.schedules.warmup_cosine(0.01, 20, 900)), backend=backend)


def digest(model: bp.Model) -> str:
    """All that training goes on from, in one number."""
    run = model.engine.last_run
    assert run is not None
    parts = [array.tobytes() for array in model.state_dict().values()]
    parts += [model.engine.optimizer_state[slot].tobytes() for slot in model.optimizer.slots]
    parts.append(repr((model.epoch, model.engine.step_count[0], model.lr, run.history.history)).encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def train(path: Path) -> bp.Model:
    """The run from its start, or from its last checkpoint."""
    model = bp.load(path) if path.exists() else new()
    stopping = bp.EarlyStopping("val_loss", patience=EPOCHS)
    saving = bp.ModelCheckpoint(path, every="7 steps", keep=2)
    model.fit(
        X, Y, epochs=EPOCHS, batch_size=50, validation_data=(X[:100], Y[:100]), sampler="balanced",
        callbacks=[saving, stopping], resume=True,
    )  # fmt: skip
    return model


def child(work: Callable[[], None]) -> int:
    """Run `work` in a new process; returns its id."""
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException as error:  # the parent sees the status
            print(f"child: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return pid


def attack(kills: int, seed: int, folder: Path, longest: float = 0.25) -> tuple[int, int]:
    """Kill `kills` times; returns how many runs came to their end and how many checkpoints were loaded in between."""
    moments = random.Random(seed)
    path, result = folder / "run.safetensors", folder / "result"

    def run() -> None:
        result.write_text(digest(train(path)))

    def clear() -> str:
        found = result.read_text()
        for file in folder.iterdir():
            file.unlink()
        return found

    assert os.waitpid(child(run), 0)[1] == 0, "the undisturbed run failed"
    wanted = clear()
    done = ended = loaded = 0
    while done < kills:
        pid = child(run)
        time.sleep(moments.uniform(0.0, longest))
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        done += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, (
            f"seed {seed}: the run failed after {done} kills"
        )
        if path.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # the newest file has to be good: none before it is needed
                bp.load(path)
            loaded += 1
        if not os.WIFSIGNALED(status) or done == kills:
            if os.WIFSIGNALED(status):
                assert os.waitpid(child(run), 0)[1] == 0, f"seed {seed}: the last run failed"
            assert clear() == wanted, f"seed {seed}: after {done} kills the run ended with other bits"
            ended += 1
    return ended, loaded


def main() -> None:
    """Print what was done and with which seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    print(f"{asked.kills} kills, seed {asked.seed}, backend {bp.get_backend().name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        ended, loaded = attack(asked.kills, asked.seed, Path(folder))
    print(
        f"{ended} runs ended with the bits of the undisturbed one; {loaded} checkpoints loaded, none unreadable"
    )


if __name__ == "__main__":
    main()
