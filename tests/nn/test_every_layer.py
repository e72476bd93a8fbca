"""Generated from backpass.nn: the gradients of every layer, what of it is saved, and what a row of its output depends on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from helpers.differences import check_gradients
from helpers.nets import on
from helpers.registered import sample_layer, sample_layers

LAYERS = sample_layers()


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name: str, backend: Backend) -> None:
    check_gradients(on(backend, bp.Model(LAYERS[name].make(), dtype="float64")), LAYERS[name].data(4))


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_loaded_as_it_was_saved(name: str, tmp_path: Path) -> None:
    model, x = bp.Model(nn.Sequential(LAYERS[name].make()), seed=7), LAYERS[name].data(9)
    model.forward(x, training=True)
    model.save(tmp_path / "run")
    loaded = bp.load(tmp_path / "run")
    assert repr(loaded.net) == repr(model.net)
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert np.array_equal(loaded.predict(x), model.predict(x))
    assert np.array_equal(loaded.forward(x, training=True), model.forward(x, training=True))


@pytest.mark.parametrize("name", LAYERS)
def test_a_row_depends_on_others_only_where_the_layer_says_so(name: str, native: Backend) -> None:
    layer, x = LAYERS[name].make(), LAYERS[name].data(5)
    model = on(native, bp.Model(layer))
    whole = model.predict(x)
    alone = np.concatenate([model.predict({k: v[i : i + 1] for k, v in x.items()}) for i in range(5)])
    assert layer.whole_batch or np.array_equal(whole, alone)


class Weighted(nn.Module):
    """Two inputs, of which one holds indices."""

    takes: Any = {"x": "number", "which": "index"}  # noqa: RUF012

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.inner = nn.Linear(in_features, in_features)

    def named_children(self) -> Any:
        return iter([("inner", self.inner)])

    def emit(self, builder: Any, x: Any, which: Any) -> Any:
        assert which.array.dtype == np.int64
        return self.inner.emit(builder, x)


def test_a_layer_of_several_inputs_would_be_tested_too() -> None:
    sample = sample_layer(Weighted)
    assert sample.row == (6,)
    assert [*sample.data(3)] == ["x", "which"]
    check_gradients(bp.Model(sample.make(), dtype="float64"), sample.data(4))
