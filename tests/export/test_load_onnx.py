"""bp.load_onnx: what bp.export.onnx writes comes back, outputs and weights, and trains as the model that was written."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.exported import NETS, used
from helpers.graphs import Graph
from helpers.random_models import X as ROWS
from helpers.random_models import random_model
from helpers.registered import sample_layers

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def as_list(answer: Any) -> list[np.ndarray]:
    parts = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, tuple) else [answer]
    return [*parts]


def loaded(model: bp.Model, folder: Path, **options: Any) -> bp.Model:
    bp.export.onnx(model, folder / "model.onnx")
    return bp.load_onnx(folder / "model.onnx", **options)


def same(model: bp.Model, again: bp.Model, x: Any) -> None:
    """Outputs and weights are equal; weights that no output needs, and second names of tied ones, are in no file."""
    expected, answers = model.predict(x), again.predict(x)
    assert type(expected) is type(answers)
    assert [*expected] == [*answers] if isinstance(expected, dict) else True
    for one, other in zip(as_list(expected), as_list(answers), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5, strict=True)
    state, found = model.state_dict(), again.state_dict()
    assert {*found} <= {*state}
    for name, array in found.items():
        np.testing.assert_array_equal(array, state[name], strict=True)


@pytest.mark.parametrize("name", NETS)
def test_a_network_comes_back(name: str, tmp_path: Path) -> None:
    model, x = used(name)
    again = loaded(model, tmp_path)
    same(model, again, x)
    same(model, again, tuple(part[:1] for part in x) if isinstance(x, tuple) else x[:1])
    assert again.engine.plans.whole_batch <= model.engine.plans.whole_batch
    learned = {name for name, _ in again.named_parameters()}
    assert learned <= {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("name", sample_layers())
def test_every_layer_comes_back(name: str, tmp_path: Path) -> None:
    sample = sample_layers()[name]
    model, x = bp.Model(sample.make(), seed=1), sample.data(4)
    model.predict(x)
    same(model, loaded(model, tmp_path), x)


# Beside those of NETS: graphs whose rows do not depend on each other, nor on how many there are.
SEEDS = (608, 609, 610, 611, 617, 618, 619, 620, 622, 624)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_graph_comes_back(seed: int, tmp_path: Path) -> None:
    model = bp.Model(Graph(seed), seed=1)
    x = np.random.default_rng(seed).standard_normal((13, *model.net.row)).astype(np.float32)
    model.predict(x)
    same(model, loaded(model, tmp_path), x)


@pytest.mark.parametrize("seed", range(20))
def test_a_random_model_comes_back(seed: int, tmp_path: Path) -> None:
    model = random_model(seed)
    same(model, loaded(model, tmp_path), ROWS)


@pytest.mark.parametrize(
    "name", ["conv1d", "conv2d", "lstm", "gru", "rnn", "norms", "prenorm", "tied", "branches"]
)
def test_training_goes_on_as_it_would_have(name: str, tmp_path: Path) -> None:
    make, rows = NETS[name]
    net = make()
    layers = net if isinstance(net, list) else [net]
    optimizer = bp.optim.SGD(0.05, momentum=0.9)
    model = bp.Model(nn.Sequential(*layers), "mse", optimizer, seed=3)
    x = rows()
    y = np.random.default_rng(1).standard_normal(model.predict(x).shape)
    again = loaded(model, tmp_path, loss="mse", optimizer=copy.deepcopy(optimizer))
    for layer in layers:
        layer.apply(without_dropout)
    for _ in range(3):
        expected = model.step(x, y)
        np.testing.assert_allclose(again.step(x, y), expected, rtol=1e-4)
    state = model.state_dict()
    for key, array in again.state_dict().items():
        np.testing.assert_allclose(array, state[key], rtol=1e-3, atol=1e-5, err_msg=key)
        assert not np.array_equal(array, np.zeros_like(array))


def without_dropout(module: Any) -> None:
    """A file for inference has none."""
    for name in ("p", "dropout"):
        if isinstance(module.settings.get(name), float):
            setattr(module, name, 0.0)


def test_float64_comes_back_as_float64(tmp_path: Path) -> None:
    model = bp.Model(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), dtype="float64")
    x = np.random.default_rng(0).standard_normal((3, 4))
    again = loaded(model, tmp_path)
    np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-13, strict=True)


def test_lengths_of_rows_are_an_input(tmp_path: Path) -> None:
    model = bp.Model(nn.Sequential(nn.LSTM(3, 5, bidirectional=True, returns="last")))
    x, lengths = np.random.default_rng(0).standard_normal((4, 6, 3)), np.array([3, 6, 1, 2])
    expected = model.predict(x, lengths=lengths)
    bp.export.onnx(model, tmp_path / "m.onnx")
    again = bp.load_onnx(tmp_path / "m.onnx")
    np.testing.assert_allclose(again.predict({"x": x, "lengths": lengths}), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="lengths"):
        again.predict({"x": x, "lengths": np.array([3, 7, 1, 2])})


def test_outputs_are_chosen_by_name(tmp_path: Path) -> None:
    model, x = used("inputs_and_outputs")
    again = loaded(model, tmp_path, outputs="shares")
    np.testing.assert_allclose(again.predict(x[0]), model.predict(x)["shares"], rtol=1e-5)
    assert [name for name, _ in again.named_parameters()] == ["linear.weight", "linear.bias"]
    both = bp.load_onnx(tmp_path / "model.onnx", outputs=["shares", "score"])
    assert [*both.predict(x)] == ["shares", "score"]
    wrongs: Any = ("loss", [], ["shares", "loss"], 5, [5], [["shares"]])
    for wrong in wrongs:
        with pytest.raises(
            bp.CheckpointError, match=r"outputs is .*, expected some of \['score', 'chosen', 'shares'\]"
        ):
            bp.load_onnx(tmp_path / "model.onnx", outputs=wrong)


def test_the_model_is_a_model_like_others(tmp_path: Path) -> None:
    """It is copied, pickled, saved, looked at and written as ONNX and as C again."""
    model, x = used("conv2d")
    again = loaded(model, tmp_path)
    expected = again.predict(x)
    for other in (copy.deepcopy(again), pickle.loads(pickle.dumps(again))):
        np.testing.assert_array_equal(other.predict(x), expected)
    again.save(tmp_path / "run")
    net = bp.load_onnx(tmp_path / "model.onnx").net
    np.testing.assert_array_equal(bp.load(tmp_path / "run", net=copy.deepcopy(net)).predict(x), expected)
    assert "2.5 KiB" in again.summary()
    same(again, loaded(again, tmp_path), x)
    bp.export.c(again, tmp_path / "m.c")


def test_frozen_weights_stay(tmp_path: Path) -> None:
    again = loaded(bp.Model(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))), tmp_path)
    before = again.state_dict()
    dict(again.net.named_parameters())["0.weight"].requires_grad = False
    again.step(np.ones((5, 4)), np.ones((5, 2)))
    after = again.state_dict()
    assert np.array_equal(before["0.weight"], after["0.weight"])
    assert not np.array_equal(before["1.weight"], after["1.weight"])


def test_without_onnx_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'bp\.load_onnx needs onnx .*pip install "backpass\[onnx\]"'):
        bp.load_onnx(tmp_path / "m.onnx")
