"""ELM beside backpropagation: python benchmarks/elm.py [--threads 1] [--data sinc,digits] [--note TEXT] [--quick].

Each extreme learning machine is fitted, with one alpha for all and with the alpha that leave-one-out chooses. Then networks of
several sizes are trained with Adam, and the seconds of training until the test score first reaches the ELM's are taken at the
ends of epochs; the fastest network counts. `times_faster` is that over the seconds of the ELM's fit; null: no network got there
within the epochs. Scaling the data is part of neither. Scores: accuracy, or R² for sinc and California housing. MNIST and
California are read from the folder that BACKPASS_DATA names. Writes benchmarks/results/elm.json, where every data set says when,
on what and with which versions it was measured.
"""

import argparse
import json
import os
import statistics
import time
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sklearn.metrics import accuracy_score, r2_score

import backpass as bp
from backpass import nn, optim
from backpass.diagnostics import config
from backpass.sklearn import ELMClassifier, ELMRegressor
from datasets import Data, california, digits, mnist, sinc

RESULT = Path(__file__).resolve().parent / "results" / "elm.json"
NETWORKS = ([32], [128], [256, 128])  # the hidden layers that stand for backpropagation
EPOCHS = {"sinc": 300, "digits": 150, "california": 150, "mnist": 30}  # the most that a network has


class Clock(bp.Callback):
    """Notes the seconds of training and the test score at the end of each epoch; the score costs no time."""

    def __init__(self, data: Data, classes: bool, enough: float) -> None:
        self.X, self.y, self.classes, self.enough = data[2], data[3], classes, enough
        self.seconds, self.scores = 0.0, list[tuple[float, float]]()

    def on_epoch_begin(self, epoch: int, logs: Any) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.seconds += time.perf_counter() - self.start
        out = self.model.predict(self.X)
        score = accuracy_score(self.y, out.argmax(1)) if self.classes else r2_score(self.y, out[:, 0])
        self.scores.append((self.seconds, float(score)))
        self.model.stop_training = score >= self.enough


def elm(data: Data, units: int, activation: str, alpha: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fit several times, each from nothing; the median of the seconds."""
    X, y, T, t = data
    made = ELMClassifier if y.dtype.kind == "i" else ELMRegressor
    seconds = []
    while not seconds or (len(seconds) < 3 and sum(seconds) < 10 and not arguments.quick):
        estimator = made(units, activation, alpha, random_state=0, n_threads=arguments.threads)
        start = time.perf_counter()
        estimator.fit(X, y)
        seconds.append(time.perf_counter() - start)
    settings = {"n_hidden": units, "activation": activation, "alpha": alpha, "alpha_": estimator.alpha_}
    return {**settings, "score": float(estimator.score(T, t)), "seconds": statistics.median(seconds)}


def network(data: Data, hidden: list[int], epochs: int, enough: float, threads: int) -> Clock:
    """Train one network until its test score is `enough`."""
    X, y, *_ = data
    classes = y.dtype.kind == "i"
    sizes = [X.shape[1], *hidden]
    layers = [part for i, o in zip(sizes, hidden, strict=False) for part in (nn.Linear(i, o), nn.ReLU())]
    net = nn.Sequential(*layers, nn.Linear(sizes[-1], int(y.max()) + 1 if classes else 1))
    loss = "cross_entropy" if classes else "mse"
    model = bp.Model(net, loss, optim.Adam(lr=2e-3), threads=threads)
    target = y if classes else y[:, None]
    model.fit(X[:256], target[:256], batch_size=64)  # warm
    clock = Clock(data, classes, enough)
    model = bp.Model(deepcopy(net), loss, optim.Adam(lr=2e-3), threads=threads)
    model.fit(X, target, epochs=epochs, batch_size=64, callbacks=[clock])
    return clock


def compare(name: str, data: Data, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All ELMs of one data set, each with the time that backpropagation takes to the same score."""
    activation = "relu" if name == "mnist" else "tanh"
    sizes = (200,) if arguments.quick else (200, 1000, 2000)
    rows = [elm(data, units, activation, alpha, arguments) for units in sizes for alpha in (1.0, "loo")]
    enough, epochs = max(row["score"] for row in rows), 2 if arguments.quick else EPOCHS[name]
    clocks = {
        "-".join(map(str, h)): network(data, h, epochs, enough, arguments.threads).scores for h in NETWORKS
    }
    for row in rows:
        reached = {
            label: next((seconds for seconds, score in scores if score >= row["score"]), None)
            for label, scores in clocks.items()
        }
        times = [seconds for seconds in reached.values() if seconds is not None]
        row |= {"networks": reached, "backpropagation_seconds": min(times, default=None)}
        row["times_faster"] = min(times) / row["seconds"] if times else None
        row["best_of_networks"] = max(score for scores in clocks.values() for _, score in scores)
        longest = max(scores[-1][0] for scores in clocks.values())
        said = f"at best {row['best_of_networks']:.4f} in {longest:.1f} s"
        if times:
            said = f"{min(times):7.3f} s: {row['times_faster']:.2f} times"
        print(
            f"{name:<11} L {row['n_hidden']:<5} alpha {row['alpha']:<4} score {row['score']:.4f}"
            f" in {row['seconds']:7.3f} s; backpropagation {said}",
            flush=True,
        )
    return rows


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--data",
        help="names, such as sinc,mnist; the others' results stay, with the date and machine of theirs (default: all)",
    )
    parser.add_argument("--threads", type=int, default=1, help="for both, BLAS included (default 1)")
    parser.add_argument("--note", default="", help="what a reader should know of the machine's state")
    parser.add_argument(
        "--quick", action="store_true", help="a small part, to see that it works; writes nothing"
    )
    arguments = parser.parse_args()
    known = {"sinc": sinc, "digits": digits}
    if os.environ.get("BACKPASS_DATA"):
        known |= {"california": california, "mnist": mnist}
    chosen = {name: known[name] for name in (arguments.data.split(",") if arguments.data else known)}
    results: dict[str, Any] = {}
    with config.blas_threads(arguments.threads) as blas:
        about = {"cpu": config.cpu(), "note": arguments.note, "threads": arguments.threads}
        about |= {"blas_threads": blas, "versions": config.facts()}
        for name, load in chosen.items():
            rows = compare(name, load(), arguments)
            date = datetime.now(UTC).isoformat(timespec="seconds")
            results[name] = {"date": date, **about, "results": rows}
    if not arguments.quick:
        if arguments.data and RESULT.exists():
            results = json.loads(RESULT.read_text("utf-8"))["data"] | results
        RESULT.write_text(json.dumps({"data": results}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
