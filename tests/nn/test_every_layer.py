"""Generated from backpass.nn: the gradients of every layer, what of it is saved, and what a row of its output depends on."""

from pathlib import Path

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from helpers.differences import check_gradients
from helpers.nets import on
from helpers.registered import sample_layers

LAYERS = sample_layers()


def rows_of(name: str, rows: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, *LAYERS[name].row))


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name: str, backend: Backend) -> None:
    check_gradients(on(backend, bp.Model(LAYERS[name].make(), dtype="float64")), rows_of(name, 4))


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_loaded_as_it_was_saved(name: str, tmp_path: Path) -> None:
    model, x = bp.Model(nn.Sequential(LAYERS[name].make()), seed=7), rows_of(name, 9)
    model.forward(x, training=True)
    model.save(tmp_path / "run")
    loaded = bp.load(tmp_path / "run")
    assert repr(loaded.net) == repr(model.net)
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert np.array_equal(loaded.predict(x), model.predict(x))
    assert np.array_equal(loaded.forward(x, training=True), model.forward(x, training=True))


@pytest.mark.parametrize("name", LAYERS)
def test_a_row_depends_on_others_only_where_the_layer_says_so(name: str, native: Backend) -> None:
    layer, x = LAYERS[name].make(), rows_of(name, 5)
    model = on(native, bp.Model(layer))
    whole = model.predict(x)
    alone = np.concatenate([model.predict(x[i : i + 1]) for i in range(5)])
    assert layer.whole_batch or np.array_equal(whole, alone)
