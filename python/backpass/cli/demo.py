"""python -m backpass demo: handwritten digits, learned on every backend that works here, side by side."""

import argparse
import time
from typing import Any

import numpy as np

from .. import nn, optim
from ..backends import available_backends, get_backend, why_missing
from ..callbacks import Callback, Logs, ProgressBar
from ..engine.history import History
from ..model import Model

SEED = 0
BATCH = 32
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
    names = [get_backend(arguments.backend).name] if arguments.backend else available_backends()
    split = digits()
    train_rows, test_rows = len(split[0]), len(split[1])
    print(
        f"Handwritten digits, 8x8 pixels, 10 classes: {train_rows} images to learn from, {test_rows} held out."
    )
    for name in ("native", "numba"):
        if not arguments.backend and name not in names:
            print(f"Without the {name} backend: {why_missing(name)}.")
    print(f"Network: {build(names[0], arguments.epochs, train_rows).net!r}\n")
    histories: dict[str, History] = {}
    rows = []
    for name in names:
        compile_seconds = warm_up(name, split)
        if name == "numba":
            print(
                f"numba: compiled before the clock starts, {compile_seconds:.1f} s (less once it is cached)",
                flush=True,
            )
        model = build(name, arguments.epochs, train_rows)
        watch, bar = Stopwatch(), ProgressBar()
        print(f"{name}: {arguments.epochs} epochs", flush=True)
        start = time.perf_counter()
        histories[name] = train(model, split, arguments.epochs, [watch, bar])
        seconds = time.perf_counter() - start
        accuracy = model.evaluate(split[1], split[3])["accuracy"]
        rows.append(
            (
                name,
                f"{100 * accuracy:.2f} %",
                f"{seconds:.2f}",
                f"{int(model.engine.step_count[0]) / watch.seconds:,.0f}",
            )
        )
    print()
    for row in [("backend", "held-out accuracy", "seconds", "steps/s"), *rows]:
        print(f"{row[0]:<8}  {row[1]:>17}  {row[2]:>8}  {row[3]:>8}")
    print("(seconds: the whole run with validation and progress bar; steps/s: the training steps alone)")
    try:
        from ..plots import learning_curves

        learning_curves({name: (h.epoch, h.history) for name, h in histories.items()}, arguments.out)
        print(f"Learning curves: {arguments.out}")
    except ImportError as error:
        print(f"No picture: {error}")


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
