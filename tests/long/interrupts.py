"""Stop `fit` by signals at random moments, as Ctrl-C does, and go on in the same process; or save from the handler and load.

    python tests/long/interrupts.py --rounds 100 --seed 0

Every run ends with the bits of an undisturbed one, on every backend: on arrays, on chunks, and with a callable loss.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))  # kills
from kills import X, Y, digest, new

import backpass as bp

EPOCHS = 8
CHUNKS = [(X[start:end], Y[start:end]) for start, end in ((0, 230), (230, 260), (260, 600))]


class Told(Exception):
    """What the handler raises."""


def own_loss(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Cross entropy."""
    powers = np.exp(pred - pred.max(1, keepdims=True))
    p, one = powers / powers.sum(1, keepdims=True), np.eye(3)[y]
    return float(-(np.log(p) * one).sum() / len(y)), (p - one) / len(y)


# (loss, data, arguments of fit) by name
KINDS: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "arrays": ("cross_entropy", (X, Y), {}),
    "chunks": ("cross_entropy", (CHUNKS,), {}),
    "a callable": (own_loss, (X, Y), {"sampler": "balanced"}),
}


def fit(model: bp.Model, kind: str) -> None:
    """The run from where it stands."""
    _, given, options = KINDS[kind]
    callbacks = [
        bp.EarlyStopping("val_loss", patience=EPOCHS, restore_best=False),
        bp.EarlyStopping("val_loss", patience=EPOCHS),
    ]
    model.fit(
        *given, epochs=EPOCHS, batch_size=50, validation_data=(X[:100], Y[:100]), callbacks=callbacks, resume=True, **options
    )  # fmt: skip


@contextmanager
def alarm(after: float, handler: Any) -> Iterator[None]:
    """A signal to this process after so many seconds, while the block lasts."""
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def stop(*_: Any) -> None:
    """The handler that raises."""
    raise Told


def stopped_and_resumed(model: bp.Model, kind: str, chance: random.Random, longest: float) -> int:
    """Stop and go on until the run is over; returns how often."""
    times = 0
    while True:
        try:
            with alarm(chance.uniform(1e-4, longest), stop):
                fit(model, kind)
            return times
        except Told:
            times += 1


def saved_by_the_handler(
    model: bp.Model, kind: str, chance: random.Random, longest: float, path: Path
) -> int:
    """Save somewhere in the run, which goes on; returns whether it did."""
    with alarm(chance.uniform(1e-4, longest), lambda *_: model.save(path)):
        fit(model, kind)
    return int(path.exists())


def attack(backend: str, kind: str, rounds: int, seed: int, path: Path) -> tuple[int, int]:
    """How many runs were disturbed how often; AssertionError where one ended with other bits."""
    chance, loss = random.Random(seed), KINDS[kind][0]

    def made() -> bp.Model:
        return new(loss, backend)

    fit(made(), kind)  # compiled
    whole, start = made(), time.perf_counter()
    fit(whole, kind)
    seconds, wanted = time.perf_counter() - start, digest(whole)
    stops = saves = 0
    for number in range(rounds):
        model = made()
        stops += stopped_and_resumed(model, kind, chance, seconds / 3)
        assert digest(model) == wanted, (
            f"{backend}, {kind}, seed {seed}, run {number}: other bits after interruptions"
        )
        model = made()
        if saved_by_the_handler(model, kind, chance, seconds, path):
            saves += 1
            loaded = bp.load(path, backend, loss=loss if callable(loss) else None)
            path.unlink()
            fit(loaded, kind)
            assert digest(loaded) == wanted, (
                f"{backend}, {kind}, seed {seed}, run {number}: other bits in the file"
            )
        assert digest(model) == wanted, (
            f"{backend}, {kind}, seed {seed}, run {number}: saving changed the run"
        )
    return stops, saves


def main() -> None:
    """Print what was done and with which seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    print(f"{asked.rounds} runs of each kind, seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for backend in bp.available_backends():
            for kind in KINDS:
                stops, saves = attack(backend, kind, asked.rounds, asked.seed, Path(folder) / "run")
                print(
                    f"{backend}, {kind}: {stops} interruptions, {saves} files saved by a handler: all bits the same"
                )


if __name__ == "__main__":
    main()
