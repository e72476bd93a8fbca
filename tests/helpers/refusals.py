"""The check of what a refusal says, and that the model has not changed and still trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import backpass as bp
from helpers.nets import X

REFUSED = (ValueError, TypeError, KeyError)


def with_value(array: np.ndarray, value: Any, *where: int, dtype: Any = np.float64) -> np.ndarray:
    out = array.astype(dtype)
    out[where] = value
    return out


def everything(model: bp.Model) -> dict[str, Any]:
    slots = {
        f"optimizer {k}": v
        for k, v in model.engine.optimizer_state.items()
        if k not in ("norm", "scale", "partials")
    }
    kept = model.state_dict() | slots
    return deepcopy(kept | {"step": model.engine.step_count, "epoch": model.epoch})


@contextmanager
def refused(*parts: str, error: Any = REFUSED, model: bp.Model | None = None) -> Iterator[None]:
    """The block raises `error` with all of `parts` in its message, and leaves the model as it was."""
    before = everything(model) if model else {}
    with pytest.raises(error) as caught:
        yield
    message = str(caught.value)
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"
    if model:
        for name, value in everything(model).items():
            assert np.array_equal(value, before[name], equal_nan=True), f"{name} has changed"


def assert_trains(model: bp.Model, y: np.ndarray) -> None:
    before = model.state_dict()
    history = model.fit(X, y, epochs=2, batch_size=8)
    assert np.isfinite(history.history["loss"]).all()
    assert any(not np.array_equal(before[k], v) for k, v in model.state_dict().items())
