"""Outputs of one number a row, (N,): `squeeze(1)` at the end of `forward`."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend


@pytest.mark.parametrize("reduction", ["mean", "sum", "batchmean"])
def test_computed_as_one_column(reduction: str, backend: Backend) -> None:
    """An output (N,) is computed as (N, 1) is: weights, the mean of an epoch, accuracy."""

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 1)

        def forward(self, x: Any) -> Any:
            return self.linear(x).squeeze(1)

    rng = np.random.default_rng(0)
    x, y, weight = rng.standard_normal((20, 3)), rng.integers(0, 2, 20) * 1.0, rng.uniform(0, 2, 20)
    for loss in (nn.MSELoss(reduction), nn.BCEWithLogitsLoss(reduction)):
        flat, rows = (bp.Model(net, loss, dtype="float64") for net in (Flat(), nn.Linear(3, 1)))
        flat.backend = rows.backend = backend
        rows.load_state_dict(dict(zip(("weight", "bias"), flat.parameters(), strict=True)))
        for given in (None, weight):
            histories = [
                model.fit(x, y, sample_weight=given, batch_size=16, epochs=3, progress=False).history
                for model in (flat, rows)
            ]
            assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-12)
            assert flat.evaluate(x, y, given) == pytest.approx(rows.evaluate(x, y, given), rel=1e-12)
        assert bp.gradcheck(flat, x[:6], y[:6]).worst_relative_error < 1e-6
