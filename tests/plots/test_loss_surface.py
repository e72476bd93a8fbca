"""bp.loss_surface: losses of a grid by hand, its directions, minima and saddles, its picture, what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.nets import LABELS, X, Y, small

LINE = np.linspace(-1, 1, 21, dtype=np.float32)[:, None]
AXES = [{"0.weight": [[1.0]]}, {"1.weight": [[1.0]]}]


def product() -> bp.Model:
    """y = b a x: the loss (a b - 1)² has a saddle at 0, and valleys a b = 1."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    model = bp.Model(net, "mse", dtype="float64")
    model.load_state_dict({"0.weight": [[0.0]], "1.weight": [[0.0]]})
    return model


def test_a_saddle_and_no_minimum_along_a_valley() -> None:
    surface = bp.loss_surface(product(), LINE, LINE, points=17, span=1.6, directions=AXES)
    a, b = np.meshgrid(surface.steps, surface.steps)
    assert surface.loss == pytest.approx((LINE.astype(float) ** 2).mean() * (a * b - 1) ** 2)
    assert surface.saddles == [(0.0, 0.0)]
    assert surface.minima == []
    assert "minima 0, saddles 1" in repr(surface)


def test_two_minima() -> None:
    """y = (w² - 1) + v² by a traced loss of the parameters alone: minima at w = ±1, a saddle between."""

    class Wells(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.v = nn.Parameter(np.zeros((1, 1))), nn.Parameter(np.zeros((1, 1)))

        def forward(self, x: Any) -> Any:
            return x * 0 + (self.w**2 - 1) ** 2 + self.v**2

    model = bp.Model(Wells(), nn.traced(lambda pred, y: pred.mean()), dtype="float64")
    directions = [{"w": [[1.0]]}, {"v": [[1.0]]}]
    surface = bp.loss_surface(model, LINE, LINE, points=33, span=2, directions=directions)
    assert np.array(surface.minima) == pytest.approx(np.array([(-1.0, 0.0), (1.0, 0.0)]))
    assert surface.saddles == [(0.0, 0.0)]


def test_random_directions_have_the_length_of_the_filters() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    model = bp.Model(net, "cross_entropy")
    net[3].requires_grad_(False)
    images, labels = X[:32, :].repeat(6, 1)[:, :16].reshape(32, 1, 4, 4), LABELS[:32] % 2
    surface = bp.loss_surface(model, images, labels, points=3)
    weights = dict(model.named_parameters())
    for direction in surface.directions:
        for row, own in zip(direction["0.weight"], weights["0.weight"], strict=True):
            assert np.linalg.norm(row) == pytest.approx(np.linalg.norm(own), rel=1e-6)
        assert not direction["0.bias"].any()
        assert not direction["3.weight"].any()
    first, second = (direction["0.weight"] for direction in surface.directions)
    assert not np.allclose(first, second)
    assert surface.loss[1, 1] == pytest.approx(model.evaluate(images, labels)["loss"])
    again = bp.loss_surface(model, images, labels, points=3)
    assert np.array_equal(surface.loss, again.loss)
    assert not np.array_equal(surface.loss, bp.loss_surface(model, images, labels, points=3, seed=1).loss)


def test_model_stays_as_it_is_and_weights_act() -> None:
    model = small("cross_entropy", metrics=["f1"])
    model.fit(X, LABELS, epochs=1)
    before = model.state_dict()
    weight = np.r_[np.zeros(len(X) - 1), 1.0]
    surface = bp.loss_surface(model, X, LABELS, points=3, sample_weight=weight)
    assert surface.loss[1, 1] == pytest.approx(model.evaluate(X[-1:], LABELS[-1:])["loss"], rel=1e-5)
    assert all(np.array_equal(before[key], value) for key, value in model.state_dict().items())
    assert model.metrics == ["f1"]


def test_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    surface = bp.loss_surface(product(), LINE, LINE, points=17, span=1.6, directions=AXES)
    figure = surface.plot(tmp_path / "surface.png")
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == (
        "along direction 1",
        "along direction 2",
        "loss",
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["the model's weights", "saddle"]
    assert (tmp_path / "surface.png").stat().st_size > 1000
    flat = bp.loss_surface(product(), LINE, LINE, points=3, directions=[{}, {}])
    assert np.ptp(flat.loss) == 0
    flat.plot().draw_without_rendering()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": 4}, "points is 4, expected an odd number"),
        ({"points": 2}, "points is 2, expected an integer from 3"),
        ({"span": 0}, "span is 0, expected a finite number above 0"),
        ({"seed": -1}, "seed is -1"),
        ({"directions": [{}]}, "expected two dicts of arrays"),
        ({"directions": [{}, 3]}, r"directions\[1\] is 3, expected a dict"),
        ({"directions": [{"w": 1}, {}]}, r"directions\[0\] has 'w', expected names among \['0.weight'"),
        (
            {"directions": [{"0.bias": [1.0]}, {}]},
            r"directions\[0\]\['0.bias'\] has shape \(1,\), expected \(8,\)",
        ),
        (
            {"directions": [{}, {"0.bias": ["a"] * 8}]},
            r"directions\[1\]\['0.bias'\] has dtype <U1, expected numbers",
        ),
        (
            {"directions": [{"0.bias": [[1], [1, 2]]}, {}]},
            r"directions\[0\]\['0.bias'\] cannot be read as an array",
        ),
        (
            {"directions": [{"0.bias": [np.nan] * 8}, {}]},
            r"directions\[0\]\['0.bias'\] holds NaN or infinity",
        ),
        ({"sample_weight": [1.0]}, "sample_weight has shape"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        bp.loss_surface(small(), X, Y, **arguments)
    with pytest.raises(TypeError, match="model is 'm'"):
        bp.loss_surface("m", X, Y)  # type: ignore[arg-type]
