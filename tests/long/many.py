"""fit_many against many fits: the same bits; it and a search killed with SIGKILL at random moments: the same table.

    python tests/long/many.py --models 50 --seed 0

tests/many runs a dozen models and a few kills, `nox -s long` fifty of each.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kills import child

import backpass as bp
from backpass import nn, optim
from helpers.random_models import (
    LABELS,
    VALIDATION,
    Counts,
    X,
    random_callbacks,
    random_model,
    random_sizes,
    state_of,
)


def same_bits(models: int, seed: int) -> None:
    """Fifty models alone, then together on 1, 2 and 3 threads."""
    epochs, sizes = random_sizes(models)
    alone = [random_model(seed + number) for number in range(models)]
    for number, model in enumerate(alone):
        model.fit(
            X, LABELS, epochs=epochs[number], batch_size=sizes[number], callbacks=random_callbacks(seed + number),
            validation_data=VALIDATION,
        )  # fmt: skip
    for threads in (1, 2, 3):
        together = [random_model(seed + number) for number in range(models)]
        bp.fit_many(
            together, X, LABELS, epochs=epochs, batch_size=sizes, callbacks=lambda n: random_callbacks(seed + n),
            validation_data=VALIDATION, threads=threads,
        )  # fmt: skip
        for number, (one, other) in enumerate(zip(together, alone, strict=True)):
            assert state_of(one) == state_of(other), f"model {seed + number}, {threads} threads"


def train(folder: Path) -> str:
    """Five models, from their start or from what the folder holds; the table and all weights in one number."""
    models = [random_model(seed) for seed in range(5)]
    runs = bp.fit_many(
        models, X, LABELS, epochs=25, batch_size=7, validation_data=VALIDATION,
        callbacks=lambda n: [*random_callbacks(n), Counts()], threads=2, directory=folder, every="1 epoch",
    )  # fmt: skip
    digest = hashlib.sha256(json.dumps(runs.rows).encode())
    for model in models:
        digest.update(b"".join(state_of(model).values()))
    return digest.hexdigest()


def halve(folder: Path) -> str:
    """A search by successive halving; the table without its times, and all weights in one number."""

    def build(params: dict[str, Any]) -> bp.Model:
        net = nn.Sequential(
            nn.Linear(6, params["width"]), nn.ReLU(), nn.Dropout(0.2), nn.Linear(params["width"], 3)
        )
        return bp.Model(net, "cross_entropy", optim.Adam(lr=params["lr"]))

    space = {"width": [4, 8, 16, 24], "lr": lambda rng: 10 ** rng.uniform(-4, -1)}
    trials = bp.search(
        build, space, X, LABELS, trials=12, strategy="halving", epochs=40, min_epochs=4, ahead=4, batch_size=7,
        validation_data=VALIDATION, callbacks=[bp.EarlyStopping(patience=9), Counts()], threads=2, directory=folder,
        every="1 epoch",
    )  # fmt: skip
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in trials.rows]
    digest = hashlib.sha256(json.dumps(rows).encode())
    for model in trials.models:
        digest.update(b"".join(state_of(model).values()))
    return digest.hexdigest()


def attack(
    train: Callable[[Path], str], kills: int, seed: int, folder: Path, longest: float = 0.5
) -> tuple[int, int]:
    """Kill `kills` times; returns how many runs came to their end and how many kills left checkpoints behind."""
    moments = random.Random(seed)
    runs, result = folder / "runs", folder / "result"

    def run() -> None:
        result.write_text(f"{train(runs)} {Counts.taken()}")

    def clear() -> tuple[str, int]:
        found, trained = result.read_text().split()
        for file in [result, *runs.iterdir()]:
            file.unlink()
        return found, int(trained)

    assert os.waitpid(child(run), 0)[1] == 0, "the undisturbed run failed"
    wanted, whole = clear()
    done = ended = resumed = 0
    while done < kills:
        found = runs.exists() and any(runs.glob("*.safetensors"))
        pid = child(run)
        time.sleep(moments.uniform(0.0, longest))
        os.kill(pid, signal.SIGKILL)
        killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        done += killed
        resumed += killed and runs.exists() and any(runs.iterdir())
        if not killed or done == kills:
            if killed:
                found = any(runs.glob("*.safetensors"))
                assert os.waitpid(child(run), 0)[1] == 0, f"seed {seed}: the last run failed"
            ending, trained = clear()
            assert ending == wanted, (
                f"seed {seed}: after {done} kills it ended with another table or other bits"
            )
            assert (trained < whole) == found, (
                f"seed {seed}: {trained} of {whole} epochs were trained after {done} kills"
            )
            ended += 1
    return ended, resumed


def main() -> None:
    """Print what was done and with which seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--kills", type=int, help="default: as many as models")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    asked = parser.parse_args()
    kills = asked.models if asked.kills is None else asked.kills
    print(
        f"{asked.models} models, {kills} kills, seed {asked.seed}, backend {bp.get_backend().name}",
        flush=True,
    )
    same_bits(asked.models, asked.seed)
    print("the same bits for 1, 2, 3 threads", flush=True)
    for name, of in (("fit_many", train), ("search", halve)):
        with tempfile.TemporaryDirectory() as folder:
            ended, resumed = attack(of, kills, asked.seed, Path(folder))
        print(f"{name}: {ended} runs ended with the same table, {resumed} kills left checkpoints", flush=True)


if __name__ == "__main__":
    main()
