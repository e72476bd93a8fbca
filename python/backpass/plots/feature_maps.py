"""bp.plots.feature_maps: what a layer makes of one image."""

import os
from typing import Any

import numpy as np

from ..data.images import Images
from ..diagnostics.activations import activations
from ..drawing.figure import new_figure, saved
from ..drawing.images import GREY, Mosaic, draw, limits, set_title
from ..engine.engine import HasEngine
from .convolutions import convolution, named_layers, title

# More channels than these are left out, and the title says so.
MOST_CHANNELS = 256


def feature_maps(
    model: HasEngine, x: Any, layer: str | None = None, path: str | os.PathLike[str] | None = None
) -> Any:
    """Draw the activations of a convolution for one image: a plane for each channel, in a grid beside the input.

    Where planes hold numbers below 0, red is positive, blue negative, white 0; else brighter is more, and the darkest colour 0.

    Args:
        model: a bp.Model of images.
        x: one image (C, H, W), (1, C, H, W) or bp.Images of length 1, of one channel also (H, W).
        layer: the name of a layer whose output is (N, C, H, W), such as "1" for the activation behind a convolution; default
            None, the first convolution.
        path: where to write the picture as well (PNG, PDF, SVG by its ending), default nowhere.

    Returns the matplotlib figure.

    Raises:
        ValueError: several images, a name that there is not, or an output that is no image. ImportError: matplotlib is missing.

    Example:
        >>> figure = bp.plots.feature_maps(cnn, images[0], layer="1")
    """
    image = _one_image(x)
    name = convolution(model, None)[0] if layer is None else layer
    (planes,) = activations(model, image, name).values()
    module = dict(named_layers(model))[name]
    if planes.ndim != 4:
        raise ValueError(
            f"layer is {name!r}, {module!r:.80}, whose output has shape {planes.shape}, expected one of planes (N, C, H, W)"
        )
    maps = planes[0]
    channels, height, width = maps.shape
    parts = [f"{channels} planes of {height} x {width}"]
    if channels > MOST_CHANNELS:
        parts.append(f"the first {MOST_CHANNELS}")
    mosaic = Mosaic.squared(maps[:MOST_CHANNELS])
    high = 4.4
    wide = high * mosaic.picture.shape[1] / mosaic.picture.shape[0]
    figure = new_figure(figsize=(wide + 4.6, high + 0.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3.0, wide + 0.8))
    pixels = np.asarray(image[0], np.float64)
    if len(pixels) == 3:
        low, most = limits(pixels)
        colours = (pixels - low) / ((most - low) or 1.0)
        draw(left, Mosaic.squared(colours.transpose(1, 2, 0)[None]))
    else:
        draw(left, Mosaic.squared(pixels), GREY)
    set_title(left, "input " + " x ".join(map(str, pixels.shape)), 3.0)
    figure.colorbar(draw(right, mosaic), ax=right, label="activation", shrink=0.8)
    set_title(right, title(name, module, *parts), wide)
    return saved(figure, path)


def _one_image(x: Any) -> np.ndarray:
    """x as (1, C, H, W)."""
    array = np.asarray(x)
    if isinstance(x, Images) and len(array) != 1:
        raise ValueError(f"x holds {len(array)} images, expected one: images[:1]")
    if array.ndim not in (2, 3, 4) or (array.ndim == 4 and len(array) != 1) or 0 in array.shape:
        raise ValueError(f"x has shape {array.shape}, expected one image, (C, H, W) or (H, W)")
    return array.reshape((1,) * (4 - array.ndim) + array.shape)
