"""Every backend with the conventions of PyTorch, Keras and scikit-learn, against what these once computed (make_like.py)."""

import json

import numpy as np
import pytest

from backpass.backends import Backend
from golden.cases import rows
from golden.like_cases import CASES, EVERY, TRAJECTORIES, model_like, steps

RECORDED = json.loads(TRAJECTORIES.read_text("utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_like(name: str, backend: Backend) -> None:
    like, want = CASES[name], RECORDED[name]
    model = model_like(like, backend)
    losses = []
    for factor, x, y in steps(like):
        if factor != 1:
            model.lr *= factor
        losses.append(model.step(x, y))
    np.testing.assert_allclose(losses[::EVERY], want["losses"], rtol=1e-10, err_msg="losses")
    predict = model.predict_proba if like.library == "sklearn" else model.predict
    got = predict(rows(like.case, "float64")[0][:2])
    np.testing.assert_allclose(
        got, want["predictions"], rtol=0, atol=1e-9 * np.abs(got).max(), err_msg="predictions"
    )


def test_the_recording_is_of_these_cases() -> None:
    assert {*RECORDED} - {"made", "model.keras"} == {*CASES}, "run tests/golden/make_like.py"
    for library in ("torch", "keras", "sklearn"):
        assert sum(like.library == library for like in CASES.values()) >= 4
