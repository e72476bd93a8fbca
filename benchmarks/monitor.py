"""What bp.GradientMonitor costs: python benchmarks/monitor.py [--seconds 0.3] [--pairs 12] [--workloads tiny,rl] [--json FILE]

One model trains with and without the monitor in turns (no two models: where their memory lies makes a difference of percents).
A pair is two runs of equal length, `--seconds` each, in an order that alternates. Cost: the median over the pairs of the time
with it over the time without, with the quartiles; `samples` is how often the monitor measured in a run. "none / none" is the
noise: the same measurement with no monitor at all.
"""

import argparse
import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import backpass as bp
from backpass import nn
from backpass.cli.workloads import WORKLOADS
from backpass.diagnostics import config

NAMES = ("tiny", "rl", "small", "sb3", "tabular", "mnist", "medium")


def deep() -> tuple[bp.Model, np.ndarray, np.ndarray, int]:
    """The twenty sigmoids of docs/guides/health.md: many layers, few weights."""
    layers = [part for _ in range(20) for part in (nn.Linear(24, 24), nn.Sigmoid())]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3200, 24), dtype=np.float32)
    model = bp.Model(nn.Sequential(*layers, nn.Linear(24, 4)), "cross_entropy", backend="native", threads=1)
    return model, X, rng.integers(0, 4, 3200), 32


def measure(name: str, seconds: float, pairs: int, monitored: bool) -> dict[str, Any]:
    """One workload: the ratios of all pairs, and the samples of the last run."""
    if name == "deep":
        model, X, y, batch = deep()
    else:
        workload = WORKLOADS[name]
        model, batch = workload.model("native", 1), workload.batch
        X, y = workload.data()

    def run(epochs: int, watched: bool) -> float:
        nonlocal monitor
        monitor = bp.GradientMonitor()
        start = time.perf_counter()
        model.fit(X, y, epochs=epochs, batch_size=batch, callbacks=[monitor] if watched else [])
        return time.perf_counter() - start

    monitor = bp.GradientMonitor()
    run(1, True)
    epochs = max(1, round(seconds / run(1, False)))
    ratios = []
    for pair in range(pairs):
        order = (True, False) if pair % 2 else (False, True)
        took = {watched: run(epochs, watched and monitored) for watched in order}
        ratios.append(took[True] / took[False])
    run(epochs, True)
    low, _, high = statistics.quantiles(ratios, n=4)
    steps = epochs * -(-len(X) // batch)
    found = {"cost": statistics.median(ratios) - 1, "quartiles": [low - 1, high - 1], "pairs": pairs}
    return found | {"steps": steps, "samples": len(monitor.records.steps) if monitored else 0}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--workloads", default=",".join(("deep", *NAMES)))
    parser.add_argument("--json", metavar="FILE", help="results are added to those that the file holds")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for name in arguments.workloads.split(","):
        results[name] = {
            label: measure(name, arguments.seconds, arguments.pairs, monitored)
            for label, monitored in (("monitor", True), ("none / none", False))
        }
        for label, found in results[name].items():
            low, high = found["quartiles"]
            print(
                f"{name:<9}{label:<12}{found['cost']:8.2%} [{low:7.2%} {high:7.2%}]  {found['samples']:4} samples in"
                f" {found['steps']:6} steps",
                flush=True,
            )
        results[name]["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    if arguments.json:
        file = Path(arguments.json)
        known = json.loads(file.read_text("utf-8"))["workloads"] if file.exists() else {}
        about = {
            "versions": config.facts(),
            "threads": 1,
            "seconds": arguments.seconds,
            "workloads": known | results,
        }
        file.write_text(json.dumps(about, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
