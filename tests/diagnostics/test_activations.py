"""bp.activations: the outputs of layers by name, against what parts of the network predict."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from helpers.nets import LABELS, X, net, on

IMAGES = np.random.default_rng(0).standard_normal((300, 2, 6, 5)).astype(np.float32)


def cnn() -> nn.Sequential:
    """Every kind of layer that shares its memory, goes in a chain or is merged with its neighbour."""
    block = nn.Residual(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), block, nn.Flatten(), nn.Dropout(0.5)),
        *(nn.Linear(8, 3), nn.Tanh()),
    )


def test_each_layer_gives_what_the_network_up_to_it_predicts(backend: Backend) -> None:
    model = on(backend, bp.Model(cnn(), "cross_entropy"))
    model.fit(IMAGES, np.arange(300) % 3, epochs=1)
    found = bp.activations(model, IMAGES)
    expected = ["0", "1", "2", "3.inner.0", "3.inner.1", "3.inner.2", "4", "5", "6", "7"]
    assert [*found] == expected
    state = model.state_dict()
    for end in (1, 2, 3, 4, 5, 6, 7, 8):
        part = on(backend, bp.Model(nn.Sequential(*cnn()[:end].layers)))
        part.load_state_dict({name: array for name, array in state.items() if int(name[0]) < end})
        name = "3" if end == 4 else str(end - 1)
        output = bp.activations(model, IMAGES, name)[name]
        assert output.dtype == np.float32
        assert np.allclose(output, part.predict(IMAGES), rtol=1e-5, atol=1e-6)
    assert np.array_equal(found["7"], model.predict(IMAGES))


def test_the_model_stays_as_it_is() -> None:
    model = bp.Model(net(), "cross_entropy", seed=3)
    twin = bp.Model(net(), "cross_entropy", seed=3)
    for _ in range(3):
        bp.activations(model, X)
        assert model.step(X, LABELS) == twin.step(X, LABELS)
    assert all("emit" not in vars(layer) for _, layer in model.net.walk())


def test_names() -> None:
    model = bp.Model(net(), "cross_entropy")
    assert [*bp.activations(model, X, ["6", "4.inner"])] == ["4.inner", "6"]
    assert np.array_equal(bp.activations(model, X, "")[""], model.predict(X))
    assert [*bp.activations(bp.Model(nn.Linear(6, 2)), X)] == [""]
    images = bp.Images(np.zeros((3, 2, 6, 5), np.uint8), mean=0.5)
    assert bp.activations(bp.Model(cnn(), "cross_entropy"), images, "0")["0"].shape == (3, 4, 4, 3)


def test_modules_with_a_forward() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 4), nn.Linear(6, 4)

        def forward(self, x: Any) -> Any:
            return self.first(x) * self.second(x), x

    model = bp.Model(Two(), ["mse", "mse"])
    found = bp.activations(model, X)
    assert [*found] == ["first", "second"]
    product, _ = model.predict(X)
    assert np.allclose(found["first"] * found["second"], product, atol=1e-6)
    assert [*bp.activations(model, X, "")] == ["[0]", "[1]"]


def test_rows_of_different_lengths() -> None:
    model = bp.Model(
        nn.Sequential(nn.GRU(6, 4), nn.GRU(4, 3, returns="last"), nn.Linear(3, 2)), backend="numpy"
    )
    rows = [X[:5], X[5:7], X[7:15]]
    found = bp.activations(model, rows)
    assert [y.shape for y in found.values()] == [(3, 8, 4), (3, 3), (3, 2)]
    assert not found["0"][1, 2:].any()
    assert np.array_equal(found["2"], model.predict(rows))
    padded = np.zeros((3, 8, 6), np.float32)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    again = bp.activations(model, padded, lengths=[5, 2, 8])
    assert all(np.array_equal(found[name], again[name]) for name in found)


def test_refusals() -> None:
    model = bp.Model(net(), "cross_entropy")
    with pytest.raises(ValueError, match=r"layer is '4.iner', .*did you mean '4.inner"):
        bp.activations(model, X, "4.iner")
    with pytest.raises(TypeError, match=r"layer is 4, expected the name"):
        bp.activations(model, X, 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x is empty"):
        bp.activations(model, X[:0])
    with pytest.raises(ValueError, match="X does not fit the network"):
        bp.activations(model, X[:, :5])
