"""Checkpoints that the first version wrote: this one loads them and goes on to the same bits."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass.backends import Backend

FOLDER = Path(__file__).parent / "first_version"
DIGESTS: dict[str, dict[str, str]] = json.loads((FOLDER / "digests.json").read_text("utf-8"))
CASES = ("classes", "mixed", "shared")


def resumed(case: str, backend: Backend) -> bp.Model:
    """The model of a file, its run finished as first_version/make.py says."""
    from checkpoint.first_version import make

    X, y, V, v = make.data(case)
    model = bp.load(FOLDER / f"{case}.safetensors")
    model.backend = backend
    model.fit(
        X,
        y,
        epochs=make.EPOCHS,
        batch_size=make.BATCH,
        validation_data=(V, v),
        callbacks=make.callbacks(case),
        resume=True,
    )
    return model


@pytest.mark.parametrize("case", CASES)
def test_goes_on_to_the_same_bits(case: str, native: Any) -> None:
    if native.isa not in DIGESTS:
        pytest.skip(f"no digests were made on {native.isa}")
    state = resumed(case, native).state_dict()
    digest = hashlib.sha256(b"".join(array.tobytes() for array in state.values())).hexdigest()
    assert digest == DIGESTS[native.isa][case]


@pytest.mark.parametrize("case", CASES)
def test_goes_on_on_every_backend(case: str, backend: Backend) -> None:
    model = resumed(case, backend)
    assert model.epoch == 5
    assert all(np.isfinite(array).all() for array in model.state_dict().values())
