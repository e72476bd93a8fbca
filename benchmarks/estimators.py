"""The MLP estimators beside scikit-learn's: python benchmarks/estimators.py [--seeds 5] [--data digits,mnist] [--json FILE]

The same arguments, data, seeds and one thread for both; they take turns. For each data set: test score (accuracy or R²) over
splits and seeds, seconds of `fit`, and how many times faster it is. "float32" and "float64" hand both data of that type, which
both compute in; "chosen" hands both float64, NumPy's type, and ours is told dtype="float32", which scikit-learn cannot be.
The data: datasets.py. For AVX-512 set OPENBLAS_CORETYPE=SkylakeX where OpenBLAS does not choose it.
"""

import argparse
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sklearn import neural_network as theirs
from threadpoolctl import threadpool_limits

import backpass as bp
import backpass.sklearn as ours
from backpass.diagnostics import config
from datasets import Data, breast_cancer, california, diabetes, digits, mnist, pixels, shakespeare

MNIST = {"max_iter": 10, "hidden_layer_sizes": (100, 100), "batch_size": 200}
CASES: dict[str, tuple[Callable[..., Data], str, dict[str, Any]]] = {
    "digits": (digits, "MLPClassifier", {"max_iter": 60}),
    "breast_cancer": (breast_cancer, "MLPClassifier", {"max_iter": 100}),
    "diabetes": (diabetes, "MLPRegressor", {"max_iter": 100}),
    "california": (california, "MLPRegressor", {"max_iter": 20}),
    "shakespeare": (shakespeare, "MLPClassifier", {"max_iter": 10}),
    "pixels": (lambda seed: pixels(), "MLPClassifier", MNIST),
    "mnist": (lambda seed: mnist(), "MLPClassifier", MNIST),
}
FROM_FILES = "california", "shakespeare", "pixels", "mnist"


def fitted(module: Any, kind: str, data: Data, seed: int, options: dict[str, Any]) -> tuple[float, float]:
    """Seconds of `fit` and the test score."""
    X, y, T, t = data
    estimator = getattr(module, kind)(random_state=seed, tol=0, n_iter_no_change=10**6, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        estimator.fit(X, y)
        seconds = time.perf_counter() - start
    return seconds, float(estimator.score(T, t))


def compare(name: str, way: str, seeds: int) -> dict[str, Any]:
    """One data set: both take turns, one run a seed."""
    load, kind, options = CASES[name]
    dtype = "float64" if way == "chosen" else way
    more: dict[str, Any] = {"dtype": "float32"} if way == "chosen" else {}
    runs: dict[str, list[tuple[float, float]]] = {"backpass": [], "scikit-learn": []}
    for seed in range(-1, seeds):  # -1: a warm-up of one epoch
        X, y, T, t = load(seed=max(seed, 0))
        kept = y if kind == "MLPClassifier" else y.astype(dtype)
        data = X.astype(dtype), kept, T.astype(dtype), t
        given = options if seed >= 0 else options | {"max_iter": 1}
        pairs = [(runs["backpass"], ours, more), (runs["scikit-learn"], theirs, {})]
        for into, module, extra in pairs if seed % 2 else pairs[::-1]:
            into.append(fitted(module, kind, data, max(seed, 0), given | extra))
    result: dict[str, Any] = {
        "options": {k: str(v) for k, v in options.items()},
        "data": dtype,
        "dtype": more.get("dtype", dtype),
    }
    for who, pairs_of in runs.items():
        seconds, scores = zip(*pairs_of[1:], strict=True)
        result[who] = {
            "seconds": statistics.median(seconds),
            "score": statistics.mean(scores),
            "scores": scores,
        }
    ratios = sorted(b[0] / a[0] for a, b in zip(runs["backpass"][1:], runs["scikit-learn"][1:], strict=True))
    result["times_faster"], result["spread"] = statistics.median(ratios), [ratios[0], ratios[-1]]
    return result


def main() -> None:
    """Run all, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    here = [name for name in CASES if name not in FROM_FILES or os.environ.get("BACKPASS_DATA")]
    parser.add_argument("--data", default=",".join(here))
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    bp.set_num_threads(1)
    with threadpool_limits(1):
        print(f"{'':<28}{'times faster':>14}{'spread':>14}{'ours':>9}{'theirs':>9}")
        for name in arguments.data.split(","):
            for way in ("float32", "float64", "chosen"):
                found = results[f"{name} {way}"] = compare(name, way, arguments.seeds)
                low, high = found["spread"]
                scores = f"{found['backpass']['score']:9.4f}{found['scikit-learn']['score']:9.4f}"
                print(
                    f"{name + ' ' + way:<28}{found['times_faster']:14.1f}{low:8.1f}-{high:<5.1f}{scores}",
                    flush=True,
                )
    if arguments.json:
        date = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"date": date, "versions": config.facts(), "threads": 1, "estimators": results}
        Path(arguments.json).write_text(json.dumps(about, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
