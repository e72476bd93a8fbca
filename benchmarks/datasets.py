"""The data sets of the benchmarks, most of them standardised; those with a file, from the folder that BACKPASS_DATA names."""

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # X, y to train; X, y to test


def split(X: np.ndarray, y: np.ndarray, seed: int = 0) -> Data:
    """A quarter to test, standardised."""
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=seed)
    scaler = StandardScaler().fit(train)
    return tuple(
        np.ascontiguousarray(a) for a in (scaler.transform(train), y_train, scaler.transform(test), y_test)
    )  # type: ignore[return-value]


def sinc() -> Data:
    """sin(x) / x with noise of ±0.2, 5000 rows of 1; to test, 5000 without noise: the example of Huang, Zhu and Siew 2006."""
    rng = np.random.default_rng(0)
    x, t = rng.uniform(-10, 10, (5000, 1)), np.linspace(-10, 10, 5000)[:, None]
    y = np.sinc(x / np.pi) + rng.uniform(-0.2, 0.2, x.shape)
    parts = (x / x.std(), y[:, 0], t / x.std(), np.sinc(t / np.pi)[:, 0])
    return tuple(part.astype(np.float32) for part in parts)  # type: ignore[return-value]


def digits(seed: int = 0) -> Data:
    """scikit-learn's digits: 1797 rows of 64."""
    X, y = load_digits(return_X_y=True)
    return split(X.astype(np.float32), y, seed)


def pixels() -> Data:
    """MNIST as pixels from 0 to 1, as in scikit-learn's own example: 60,000 and 10,000 rows of 784, of which 19 % are not 0."""
    parts = [np.load(Path(os.environ["BACKPASS_DATA"]) / f"mnist_{name}.npz") for name in ("train", "test")]
    (X, y), (T, t) = ((p["X"].reshape(-1, 784).astype(np.float32) / 255, p["y"].astype(int)) for p in parts)
    return X, y, T, t


def mnist() -> Data:
    """The same, standardised: there are no zeros."""
    X, y, T, t = pixels()
    mean, scale = X.mean(), X.std()
    return (X - mean) / scale, y, (T - mean) / scale, t


def shakespeare(seed: int = 0) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """Who speaks? TF-IDF of the words of a speech, in a sparse matrix; the 20 persons who speak most often."""
    text = (Path(os.environ["BACKPASS_DATA"]) / "tinyshakespeare.txt").read_text("utf-8")
    pairs = [speech.partition(":\n") for speech in text.split("\n\n")]
    counts = Counter(who for who, _, _ in pairs)
    persons = {who for who, _ in counts.most_common(20)}
    who, what = zip(*((who, words) for who, _, words in pairs if who in persons), strict=True)
    train, test, y, t = train_test_split(what, np.array(who), test_size=0.25, random_state=seed)
    words = TfidfVectorizer(dtype=np.float32).fit(train)
    return words.transform(train), y, words.transform(test), t


def california(seed: int = 0) -> Data:
    """20,433 rows of 8 (those without a missing value); the target standardised."""
    with open(Path(os.environ["BACKPASS_DATA"]) / "california_housing.csv", encoding="utf-8") as file:
        names, *lines = csv.reader(file)
    text = names.index("ocean_proximity")
    table = np.array([line[:text] + line[text + 1 :] for line in lines if "" not in line], np.float32)
    names.remove("ocean_proximity")
    at = names.index("median_house_value")
    y = table[:, at]
    return split(np.delete(table, at, axis=1), (y - y.mean()) / y.std(), seed)


def breast_cancer(seed: int = 0) -> Data:
    """569 rows of 30, two classes."""
    X, y = load_breast_cancer(return_X_y=True)
    return split(X.astype(np.float32), y, seed)


def diabetes(seed: int = 0) -> Data:
    """442 rows of 10; the target standardised."""
    X, y = load_diabetes(return_X_y=True)
    return split(X.astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32), seed)
