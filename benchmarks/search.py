"""GridSearchCV over backpass's MLPClassifier with threads and processes: python benchmarks/search.py [--jobs 2] [--json FILE]

A grid of 8 candidates in 3 folds on digits: one job with one thread, one job with all, then `jobs` joblib threads and as many
(loky) processes, whose imports are done before the clock. Each way in turn, `--repeats` times; medians. Oversubscribed threads
would show as CPU seconds (of all threads and processes) beyond those of one thread, and as a wall time above that of one job.
"""

import argparse
import json
import os
import statistics
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
from sklearn.model_selection import GridSearchCV

import backpass as bp
from backpass.diagnostics import config
from backpass.sklearn import MLPClassifier
from datasets import digits

GRID = {"hidden_layer_sizes": [(128,), (256, 256)], "alpha": [1e-4, 1e-2], "learning_rate_init": [1e-3, 3e-3]}


class Timed(MLPClassifier):  # type: ignore[misc]
    """The classifier, whose score is the CPU seconds of its process while it was fitted."""

    def fit(self, X: Any, y: Any) -> "Timed":
        before = time.process_time()
        super().fit(X, y)
        self.cpu_ = time.process_time() - before
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        return float(self.cpu_)


def search(jobs: int, backend: str | None, epochs: int) -> tuple[float, float]:
    """Wall and CPU seconds of one search; warnings that it has not converged are of no interest."""
    X, y, *_ = digits()
    network = Timed(max_iter=epochs, random_state=0, dtype="float32")
    made = GridSearchCV(network, GRID, cv=3, n_jobs=jobs, refit=False)
    start, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(), joblib.parallel_config(backend=backend or "threading"):
        warnings.simplefilter("ignore")
        made.fit(X, y)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    if backend == "loky":
        cpu += sum(float(made.cv_results_[f"split{fold}_test_score"].sum()) for fold in range(3))
    return seconds, cpu


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    os.environ["PYTHONWARNINGS"] = "ignore"  # of the processes
    every = bp.get_num_threads()
    ways: dict[str, tuple[int, str | None, int]] = {
        "one job, one thread": (1, None, 1),
        "one job": (1, None, every),
        "threads": (arguments.jobs, "threading", every),
        "processes": (arguments.jobs, "loky", every),
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(-1, arguments.repeats):  # -1: a warm-up
        for name, (jobs, backend, threads) in ways.items():
            bp.set_num_threads(threads)
            found = search(jobs, backend, arguments.epochs)
            if turn >= 0:
                runs[name].append(found)
    results: dict[str, Any] = {}
    for name, pairs in runs.items():
        wall, cpu = (statistics.median(values) for values in zip(*pairs, strict=True))
        results[name] = {"seconds": wall, "cpu_seconds": cpu, "runs": pairs}
        print(f"{name:<21}{wall:8.2f} s{cpu:8.2f} CPU seconds")
    if arguments.json:
        date = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"date": date, "versions": config.facts(), "jobs": arguments.jobs, "search": results}
        Path(arguments.json).write_text(json.dumps(about, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
