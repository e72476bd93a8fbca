"""Forged checkpoints: contents changed at random under a good checksum, and files changed at random without one.

    python tests/long/hostile.py --cases 5000 --seed 0

Each is loaded or refused with CheckpointError; what loads also trains and predicts without a crash.
"""

import argparse
import contextlib
import json
import random
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn, optim
from backpass.checkpoint import files as storage

X = np.random.default_rng(0).standard_normal((24, 4)).astype(np.float32)
Y = np.arange(24) % 3
ODD = [
    None, True, False, 0, 1, -1, 2, 3, 7, 2**31, 2**63 - 1, -(2**63), 2**64, 10**400, 0.0, -0.5, 1e-300, 1e300, "", "Linear",
    "adam", "inf", [], {}, [[]], {"float": "nan"}, {"float": "inf"}, {"layer": 0}, {"layer": -1}, {"layer": 10**9}, {"pairs": []},
    {"pairs": [[1]]}, {"tensor": "model.0.weight"}, {"tensor": "nothing"}, {"schedule": "step_schedule", "args": {"pairs": []}},
    {"schedule": "__import__", "args": {"pairs": []}}, {"class": "Linear", "args": [1, 1], "kwargs": {}}, "\ud800", "x" * 10_000,
]  # fmt: skip


def good(path: Path) -> None:
    """A checkpoint with everything in it."""
    net = nn.Sequential(
        nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Residual(nn.LayerNorm(5), nn.Dropout(0.2)), nn.Linear(5, 3)
    )
    loss = nn.CrossEntropyLoss([1.0, 2.0, 3.0])
    model = bp.Model(net, loss, optim.NAdam(optim.schedules.piecewise(0.01, {3: 0.5})))
    callbacks = [bp.EarlyStopping("loss", patience=9)]
    model.fit(X, Y, epochs=2, batch_size=5, callbacks=callbacks)
    model.fit(X, Y, epochs=2, batch_size=5, callbacks=callbacks, max_seconds=0)
    model.save(path)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    found = []
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        found.append((value, key))
        if isinstance(inner, dict | list):
            found += places(inner)
    return found


def change_contents(path: Path, chance: random.Random) -> None:
    """One to three changes under a good checksum."""
    tensors, metadata = storage.read(path)
    contents = json.loads(metadata["backpass"])
    for _ in range(chance.randint(1, 3)):
        if chance.random() < 0.75:
            container, key = chance.choice(places(contents))
            what = chance.random()
            if what < 0.15:
                del container[key]
            elif what < 0.3:
                other, from_ = chance.choice(places(contents))
                container[key] = json.loads(json.dumps(other[from_]))
            else:
                container[key] = chance.choice(ODD)
            contents = json.loads(json.dumps(contents))
            continue
        name = chance.choice([*tensors])
        array = tensors[name].copy()
        what = chance.randrange(5)
        if what == 0:
            del tensors[name]
        elif what == 1:
            tensors[name] = np.full_like(
                array, chance.choice([np.nan, np.inf, -1, 1e38]) if array.dtype.kind == "f" else 2**62
            )
        elif what == 2:
            tensors[name] = np.zeros((*array.shape, chance.randrange(3)), array.dtype)
        elif what == 3:
            tensors[name] = array.astype(chance.choice(["int8", "float16", "float64", "bool", "int64"]))
        else:
            tensors[chance.choice([*tensors])] = array
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        version = chance.choice(["1"] * 20 + ["2", "0", "-1", "x", ""])
        storage.write(path, tensors, {"backpass_format": version, "backpass": json.dumps(contents)})


def change_bytes(path: Path, chance: random.Random) -> None:
    """Bytes overwritten, taken out, put in."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(data) + 1), chance.choice([1, 1, 2, 8, 100])
        what = chance.randrange(3)
        if what == 0:
            data[at : at + length] = chance.randbytes(length)
        elif what == 1:
            del data[at : at + length]
        else:
            data[at:at] = chance.randbytes(length)
    path.write_bytes(data)


def attack(cases: int, seed: int, folder: Path) -> tuple[int, float]:
    """How many of so many files were refused, and the seconds that the slowest took."""
    chance = random.Random(seed)
    path, original = folder / "forged", folder / "good"
    good(original)
    whole, refused, slowest = original.read_bytes(), 0, 0.0
    for number in range(cases):
        path.write_bytes(whole)
        with contextlib.suppress(UnicodeEncodeError):
            (change_contents if chance.random() < 0.8 else change_bytes)(path, chance)
        start = time.perf_counter()
        try:
            model = bp.load(path, backend="native" if "native" in bp.available_backends() else "numpy")
        except bp.CheckpointError:
            refused += 1
        except BaseException:
            print(f"seed {seed}, case {number}")
            raise
        else:
            with (
                warnings.catch_warnings(),
                contextlib.suppress(ValueError, TypeError, OverflowError, bp.NonFiniteError),
            ):
                warnings.simplefilter("ignore")
                model.predict(X[:2])
                model.fit(
                    X,
                    Y,
                    epochs=3,
                    callbacks=[bp.EarlyStopping("loss", patience=9)],
                    resume=chance.random() < 0.5,
                )
        slowest = max(slowest, time.perf_counter() - start)
    return refused, slowest


def main() -> None:
    """Print what was done and with which seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    print(f"{asked.cases} forged files, seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        refused, slowest = attack(asked.cases, asked.seed, Path(folder))
    print(f"{refused} refused, {asked.cases - refused} loaded and used; the slowest took {slowest:.2f} s")


if __name__ == "__main__":
    main()
