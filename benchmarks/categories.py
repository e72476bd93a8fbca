"""Columns of categories in an MLPClassifier: embeddings beside one-hot columns, before the same network.

    BACKPASS_DATA=... python benchmarks/categories.py --json benchmarks/results/categories.json

California housing: is a district above the median price? Categories: ocean_proximity, and the cell of half a degree in which the
district lies. Two hidden layers of 64 units, Adam 1e-3, batches of 200; log loss on held-out rows, mean of 5 folds, by seed.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from backpass.sklearn import MLPClassifier

WORDS = ["ocean_proximity", "cell"]


def districts() -> tuple[Any, Any, np.ndarray]:
    """The table with categories, the same with one-hot columns, and the classes."""
    table = pd.read_csv(Path(os.environ["BACKPASS_DATA"]) / "california_housing.csv").dropna()
    price = table.pop("median_house_value").to_numpy()
    cell = (table.pop("longitude") * 2).round().astype(int).astype(str)
    table["cell"] = cell + "/" + (table.pop("latitude") * 2).round().astype(int).astype(str)
    numbers = [name for name in table.columns if name not in WORDS]
    table[numbers] = StandardScaler().fit_transform(np.log1p(table[numbers])).astype(np.float32)
    table[WORDS] = table[WORDS].astype("category")
    return table, pd.get_dummies(table, dtype=np.float32), (price > np.median(price)).astype(int)


def loss(X: Any, y: np.ndarray, seed: int, epochs: int, **settings: Any) -> float:
    """Mean log loss of five folds."""
    found = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y):
        model = MLPClassifier(
            (64, 64), max_iter=epochs, n_iter_no_change=epochs, random_state=seed, **settings
        )
        model.fit(X.iloc[train], y[train])
        found.append(log_loss(y[test], model.predict_proba(X.iloc[test])))
    return float(np.mean(found))


def main() -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="the first so many (default: all)")
    parser.add_argument("--epochs", default="10,20,40")
    parser.add_argument("--json")
    asked = parser.parse_args()
    table, dummies, y = (part[: asked.rows] for part in districts())
    results: dict[str, Any] = {}
    for epochs in map(int, asked.epochs.split(",")):
        embedded = [
            loss(table, y, seed, epochs, categorical_features="from_dtype", dtype="float32")
            for seed in range(asked.seeds)
        ]
        one_hot = [loss(dummies, y, seed, epochs, dtype="float32") for seed in range(asked.seeds)]
        results[str(epochs)] = {"embeddings": embedded, "one-hot": one_hot}
        print(epochs, np.round(embedded, 4), np.round(one_hot, 4), flush=True)
    if asked.json:
        Path(asked.json).write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
