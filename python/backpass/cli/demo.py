"""python -m backpass demo: handwritten digits, learned on every backend that works here, side by side."""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn, optim
from ..backends import available_backends, get_backend, why_missing
from ..callbacks import Callback, Logs, ProgressBar
from ..engine.history import History
from ..model import Model

SEED = 0
BATCH = 32
PICTURES = (".png", ".pdf", ".svg", ".jpg")
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Stopwatch(Callback):
    """The seconds spent in training steps, without validation."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        self._began = time.perf_counter()

    def on_slice_end(self, step: int, logs: Logs) -> None:
        now = time.perf_counter()
        self.seconds += now - self._began
        self._began = now


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--epochs", type=int, default=40, help="passes over the training images (default: %(default)s)"
    )
    parser.add_argument(
        "--out", default="learning_curves.png", metavar="FILE", help="the picture (default: %(default)s)"
    )
    parser.add_argument(
        "--backend", help="train on this one only: native, numba or numpy (default: all that work here)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Train, compare, draw."""
    if arguments.epochs < 1:
        raise ValueError(f"--epochs is {arguments.epochs}, expected an integer of at least 1")
    picture = checked_picture(arguments.out)
    names = [get_backend(arguments.backend).name] if arguments.backend else available_backends()
    split = digits()
    rows = len(split[0])
    print(
        f"Handwritten digits, 8x8 pixels, 10 classes: {rows} images to learn from, {len(split[1])} held out."
    )
    for name in ("native", "numba"):
        if not arguments.backend and name not in names:
            print(f"Without the {name} backend: {why_missing(name)}.")
    model = build(names[0], arguments.epochs, rows)
    print(
        f"Network: {model.net!r}\nLoss: {model.loss!r}\nOptimizer: {model.optimizer!r}, batches of {BATCH}\n"
    )
    histories: dict[str, History] = {}
    table = [("backend", "training accuracy", "held-out accuracy", "seconds", "steps/s")]
    for name in names:
        if name == "numba":
            print("numba: compiling its kernels, once ...", end=" ", flush=True)
            print(f"{warm_up(name, split):.1f} s, not counted below", flush=True)
        print(f"{name}: {arguments.epochs} epochs", flush=True)
        histories[name], row = compared(build(name, arguments.epochs, rows), split, arguments.epochs)
        table.append((name, *row))
    print()
    for words in table:
        print(
            f"{words[0]:<8}"
            + "".join(f"  {word:>{len(head)}}" for word, head in zip(words[1:], table[0][1:], strict=True))
        )
    print("(seconds: the whole run with validation and progress bar; steps/s: the training steps alone)")
    try:
        from ..drawing.curves import learning_curves

        learning_curves({name: (h.epoch, h.history) for name, h in histories.items()}, picture)
        print(f"Learning curves: {picture}")
    except ImportError as error:
        print(f"No picture: {error}")


def compared(model: Model, split: Split, epochs: int) -> tuple[History, tuple[str, str, str, str]]:
    """A run, and its row of the table without the backend."""
    watch, bar = Stopwatch(), ProgressBar()
    start = time.perf_counter()
    history = train(model, split, epochs, [watch, bar])
    seconds = time.perf_counter() - start
    training, held_out = (model.evaluate(split[i], split[i + 2])["accuracy"] for i in (0, 1))
    speed = int(model.engine.step_count[0]) / watch.seconds
    return history, (f"{100 * training:.2f} %", f"{100 * held_out:.2f} %", f"{seconds:.2f}", f"{speed:,.0f}")


def checked_picture(out: str) -> Path:
    """Where the picture goes; ValueError before anything is trained."""
    path = Path(out).expanduser()
    if path.suffix.lower() not in PICTURES:
        raise ValueError(f"--out is {out!r}, expected a name that ends in {', '.join(PICTURES)}")
    if not path.parent.is_dir():
        raise ValueError(f"--out is {out!r}, but there is no folder {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"--out is {out!r}, but nothing can be written in {str(path.parent)!r}")
    return path


def digits() -> Split:
    """scikit-learn's digits with pixels from 0 to 1: (training X, held-out X, training y, held-out y), a quarter held out."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ImportError(
            f'the demo needs scikit-learn for its data ({error}): pip install "backpass[demo]"'
        ) from None
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=SEED)
    return X_train, X_test, y_train, y_test


def build(backend: str, epochs: int, rows: int, seed: int = SEED) -> Model:
    """The network of the demo, its learning rate falling to zero over the run."""
    net = nn.Sequential(
        nn.Dropout(0.1),
        nn.Linear(64, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 10),
    )
    steps = epochs * -(-rows // BATCH)
    optimizer = optim.AdamW(lr=optim.schedules.cosine(3e-3, steps))
    named: dict[str, Any] = {"backend": backend}
    return Model(net, nn.CrossEntropyLoss(label_smoothing=0.1), optimizer, seed=seed, **named)


def train(model: Model, split: Split, epochs: int, callbacks: list[Callback]) -> History:
    """One run. The held-out images are only looked at: nothing is chosen by them."""
    X_train, X_test, y_train, y_test = split
    return model.fit(
        X_train,
        y_train,
        epochs=epochs,
        batch_size=BATCH,
        validation_data=(X_test, y_test),
        callbacks=callbacks,
    )


def warm_up(backend: str, split: Split) -> float:
    """Train a throw-away model for one epoch, so that nothing is compiled while the clock runs; returns the seconds."""
    start = time.perf_counter()
    train(build(backend, 1, len(split[0])), split, 1, [])
    return time.perf_counter() - start
