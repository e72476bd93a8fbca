"""Workloads of recurrent networks: text by characters, forecasts, and small networks for one user."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .network_workload import NetworkWorkload


@dataclass(frozen=True)
class SequenceWorkload(NetworkWorkload):
    """A network on sequences; shape: (T,) of integers below `vocabulary`, or (T, features)."""

    vocabulary: int = 0
    # Rows end at a random step between 8 and T; targets behind it do not count.
    ragged: bool = False

    def data(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        rows = self.batch * self.steps_per_epoch
        if self.vocabulary:
            ids = rng.integers(0, self.vocabulary, (rows, self.shape[0] + 1))
            return ids[:, :-1], ids[:, 1:]
        X = rng.standard_normal((rows, *self.shape), dtype=np.float32)
        if self.loss == "bce_with_logits":
            return X, rng.integers(0, 2, (rows, 1)).astype(np.float32)
        return X, rng.standard_normal((rows, 1), dtype=np.float32)

    def lengths(self, seed: int = 0) -> np.ndarray | None:
        """Where rows end."""
        if not self.ragged:
            return None
        rows = self.batch * self.steps_per_epoch
        return np.random.default_rng(seed + 1).integers(8, self.shape[0] + 1, rows)


def characters(width: int, hidden: int, layers: int) -> Any:
    """An embedding, LSTM layers, and a linear layer for each step."""

    def build(nn: Any) -> Any:
        class Characters(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Embedding(65, width)
                self.lstm = nn.LSTM(width, hidden, layers, batch_first=True)
                self.out = nn.Linear(hidden, 65)

            def forward(self, x: Any) -> Any:
                return self.out(self.lstm(self.embedding(x))[0])

        return Characters()

    return build


def last_state(inputs: int, hidden: int) -> Any:
    """A GRU and a linear layer on its last state."""

    def build(nn: Any) -> Any:
        class Last(nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.gru, self.out = nn.GRU(inputs, hidden, batch_first=True), nn.Linear(hidden, 1)

            def forward(self, x: Any) -> Any:
                return self.out(self.gru(x)[1][-1])

        return Last()

    return build


SEQUENCES = (
    SequenceWorkload("charlstm", (64, 65), 32, shape=(64,), build=characters(64, 128, 1), vocabulary=65),
    SequenceWorkload("charrnn2", (128, 65), 50, shape=(50,), build=characters(128, 128, 2), vocabulary=65),
    SequenceWorkload("gru_forecast", (8, 1), 64, loss="mse", shape=(64, 8), build=last_state(8, 32)),
    SequenceWorkload(
        "usergru",
        (2, 1),
        512,
        loss="bce_with_logits",
        shape=(64, 2),
        build=last_state(2, 8),
        optimizer="AdamW",
    ),
    SequenceWorkload(
        "ragged", (64, 65), 32, shape=(64,), build=characters(64, 128, 1), vocabulary=65, ragged=True
    ),
)
SEQUENCE_WORKLOADS = {w.name: w for w in SEQUENCES} | {
    f"{w.name}_b1": replace(w, name=f"{w.name}_b1", batch=1)
    for w in SEQUENCES
    if w.name in ("charlstm", "gru_forecast")
}
