"""bp.plots: the numbers in the pictures, their colours and words; what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

import backpass as bp
from backpass import nn
from backpass.drawing.images import Mosaic

RNG = np.random.default_rng(0)


def cnn(channels: int = 1) -> bp.Model:
    """Two convolutions, the second one in a residual block."""
    net = nn.Sequential(
        *(nn.Conv2d(channels, 5, 3), nn.ReLU(), nn.Residual(nn.Conv2d(5, 5, 3, padding=1))),
        *(nn.GlobalAvgPool(), nn.Linear(5, 2)),
    )
    return bp.Model(net, "cross_entropy")


def shown(figure: Any, number: int = 0) -> Any:
    """The image that an axes of a figure shows."""
    (image,) = figure.axes[number].images
    return image


def words(figure: Any) -> str:
    """Titles and labels of a figure."""
    axes = figure.axes
    return "\n".join(text for one in axes for text in (one.get_title(), one.get_xlabel(), one.get_ylabel()))


def test_a_mosaic_holds_the_images_in_their_order() -> None:
    images = RNG.random((7, 3, 4))
    mosaic = Mosaic.squared(images)
    assert (mosaic.rows, mosaic.columns, mosaic.count) == (4, 2, 7)
    for number, image in enumerate(images):
        left, top = mosaic.corner(number)
        tile = mosaic.picture[top : top + mosaic.height, left : left + mosaic.width]
        assert np.array_equal(tile, image.repeat(4, 0).repeat(4, 1))
    assert np.nansum(mosaic.picture) == pytest.approx(16 * images.sum())


def test_filters_of_one_channel() -> None:
    model = cnn()
    figure = bp.plots.filters(model)
    weight = dict(model.named_parameters())["0.weight"]
    image = shown(figure)
    assert np.nanmax(image.get_array()) == pytest.approx(weight.max())
    assert image.get_clim() == pytest.approx((-np.abs(weight).max(), np.abs(weight).max()))
    assert image.get_cmap().name == "RdBu_r"
    assert "0: Conv2d(1, 5, 3)" in words(figure)
    assert "5 output channels" in words(figure)


def test_filters_of_many_channels() -> None:
    figure = bp.plots.filters(cnn(), "2.inner")
    for expected in ("2.inner: Conv2d(5, 5, 3", "input channel", "output channel"):
        assert expected in words(figure)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == [*"01234"]
    wide = bp.Model(nn.Conv2d(70, 80, 1), "mse")
    assert "first 64 of 80 output channels" in words(bp.plots.filters(wide)).replace("\n", " ")


def test_filters_of_three_channels_are_colours() -> None:
    model = cnn(3)
    weight = dict(model.named_parameters())["0.weight"]
    weight[...] = 0
    weight[0, 0, 0, 0] = 2.0
    colours = shown(bp.plots.filters(model)).get_array()
    assert colours.shape[2] == 3
    tile = Mosaic.squared(np.zeros((5, 3, 3, 3)))
    left, top = tile.corner(0)
    assert colours[top, left].tolist() == [1.0, 0.5, 0.5]
    assert colours[top, left + tile.width - 1].tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("layer", "label"),
    [
        (nn.Conv1d(1, 6, 5), "tap"),
        (nn.Conv1d(4, 6, 5), "along y of each: 4 input channels"),
        (nn.Conv2d(4, 4, 3, groups=4), "channels are those of a group"),
        (nn.ConvTranspose1d(2, 3, 4), "3 output channels"),
        (nn.ConvTranspose2d(1, 3, 2), "3 output channels"),
    ],
    ids=repr,
)
def test_filters_of_other_convolutions(layer: nn.Module, label: str) -> None:
    assert label in words(bp.plots.filters(bp.Model(layer, "mse"))).replace("\n", " ")


def test_weights_of_zero_are_white() -> None:
    model = cnn()
    dict(model.named_parameters())["0.weight"][...] = 0
    assert shown(bp.plots.filters(model)).get_clim() == (-1, 1)


@pytest.mark.parametrize("layer", [None, "1", "2"])
def test_feature_maps(layer: str | None) -> None:
    model, image = cnn(), RNG.random((1, 7, 9)).astype(np.float32)
    figure = bp.plots.feature_maps(model, image, layer)
    name = layer or "0"
    planes = bp.activations(model, image[None], name)[name][0]
    drawn = shown(figure, 1)
    assert np.nanmax(drawn.get_array()) == pytest.approx(planes.max())
    assert drawn.get_cmap().name == ("viridis" if layer == "1" else "RdBu_r")
    assert f"5 planes of {planes.shape[1]} x {planes.shape[2]}" in words(figure).replace("\n", " ")
    assert "input 1 x 7 x 9" in words(figure)
    assert np.nanmax(shown(figure).get_array()) == pytest.approx(image.max())


def test_forms_of_an_image(tmp_path: Path) -> None:
    grey, pixels = RNG.random((7, 9)), RNG.integers(0, 255, (1, 3, 7, 9)).astype(np.uint8)
    first, second = (bp.plots.feature_maps(cnn(), x) for x in (grey, grey[None, None]))
    assert np.ma.allequal(shown(first, 1).get_array(), shown(second, 1).get_array())
    coloured = bp.plots.feature_maps(cnn(3), bp.Images(pixels), path=tmp_path / "maps.png")
    assert shown(coloured).get_array().shape[2] == 3
    assert (tmp_path / "maps.png").stat().st_size > 1000
    assert shown(bp.plots.feature_maps(cnn(2), RNG.random((2, 7, 9)))).get_cmap().name == "gray"


def test_refusals() -> None:
    model = cnn()
    image = np.zeros((1, 7, 9))
    with pytest.raises(ValueError, match="model has no convolution"):
        bp.plots.filters(bp.Model(nn.Linear(2, 1)))
    with pytest.raises(
        ValueError, match=r"layer is '1', ReLU, expected the name of a convolution, one of \['0', '2.inner'\]"
    ):
        bp.plots.filters(model, "1")
    with pytest.raises(ValueError, match=r"layer is '2.iner', .*did you mean '2.inner'"):
        bp.plots.filters(model, "2.iner")
    with pytest.raises(ValueError, match=r"whose output has shape .* expected one of planes"):
        bp.plots.feature_maps(model, image, "4")
    with pytest.raises(ValueError, match="has no such layer"):
        bp.plots.feature_maps(model, image, "9")
    with pytest.raises(ValueError, match=r"x has shape \(2, 1, 7, 9\), expected one image"):
        bp.plots.feature_maps(model, np.zeros((2, 1, 7, 9)))
    with pytest.raises(ValueError, match=r"x holds 2 images, expected one: images\[:1\]"):
        bp.plots.feature_maps(model, bp.Images(np.zeros((2, 1, 7, 9))))
    with pytest.raises(AttributeError, match=r"here it is bp.plots.filters"):
        _ = bp.plots.kernels  # type: ignore[attr-defined]
