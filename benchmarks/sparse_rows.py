"""What a table with sparse=True costs by its rows: python benchmarks/sparse_rows.py [--json FILE]

The workload `embedrec` with tables of 50,000 and of 500,000 rows for users and for items, one thread, in turns: microseconds a
step, and the ratio of each turn. The rows of a batch are as many in both; what is left is that more of them miss the caches.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

from backpass.cli.token_workloads import TOKEN_WORKLOADS, TokenWorkload, recommender
from backpass.diagnostics import config

ROWS = (50_000, 500_000)


def embedrec(rows: int) -> TokenWorkload:
    """The workload with tables of so many rows."""
    return replace(TOKEN_WORKLOADS["embedrec"], build=recommender(rows, 32, 64), vocabulary=(rows, rows))


def main() -> None:
    """Measure in turns, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    fits = []
    for rows in ROWS:
        workload = embedrec(rows)
        model, (X, y) = workload.model("native", 1), workload.data()
        model.fit(X, y, batch_size=workload.batch, epochs=1)
        fits.append((model, X, y, workload))
    turns: list[list[float]] = [[], []]
    for _ in range(asked.turns):
        for times, (model, X, y, workload) in zip(turns, fits, strict=True):
            start = time.perf_counter()
            model.fit(X, y, batch_size=workload.batch, epochs=asked.epochs)
            took = time.perf_counter() - start
            times.append(1e6 * took / asked.epochs / workload.steps_per_epoch)
    ratios = sorted(many / few for few, many in zip(*turns, strict=True))
    found = {
        "versions": config.facts(),
        "us a step": {str(rows): statistics.median(times) for rows, times in zip(ROWS, turns, strict=True)},
        "ratio": {"median": statistics.median(ratios), "least": ratios[0], "most": ratios[-1]},
    }
    print(json.dumps({name: found[name] for name in ("us a step", "ratio")}, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
