"""Every backend against trajectories that PyTorch once computed (tests/golden/make.py), without PyTorch."""

import json

import numpy as np
import pytest

from backpass.backends import Backend
from golden.cases import GOLDEN, TRAJECTORIES, batches, model_of, rows

RECORDED = json.loads(TRAJECTORIES.read_text("utf-8"))


@pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-10), ("float32", 1e-4)])
@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, dtype: str, limit: float, backend: Backend) -> None:
    case, want = GOLDEN[name], RECORDED[name]
    model = model_of(case, backend, dtype)
    losses = [model.step(x, y) for x, y in batches(case, dtype)]
    np.testing.assert_allclose(losses, want["losses"], rtol=limit, err_msg=f"{name}: losses")
    predictions = np.array(want["predictions"])
    got = model.predict(rows(case, dtype)[0][: len(predictions)])
    np.testing.assert_allclose(
        got, predictions, rtol=0, atol=10 * limit * np.abs(predictions).max(), err_msg=f"{name}: predictions"
    )


def test_the_recording_is_of_these_cases() -> None:
    assert set(RECORDED) - {"made"} == set(GOLDEN), "run tests/golden/make.py"
    assert all(len(RECORDED[name]["losses"]) == case.steps for name, case in GOLDEN.items()), (
        "run tests/golden/make.py"
    )
