"""bp.plots.filters: the kernels of a convolution."""

import os
from typing import Any

import numpy as np

from ..drawing.figure import new_figure, saved
from ..drawing.images import SIGNED, Mosaic, draw, number_axis, set_title
from ..engine.engine import HasEngine
from ..nn.conv_transpose import TransposedConvolution
from .convolutions import convolution, title

# More kernels than these are left out, and the title says so.
MOST_OUTPUTS = 64
MOST_INPUTS = 64


def filters(model: HasEngine, layer: str | None = None, path: str | os.PathLike[str] | None = None) -> Any:
    """Draw the kernels of a convolution as a grid of small images: red is positive, blue negative, white 0.

    Of one input channel the kernels of all outputs fill a grid; of three they are colours; of more each row of the grid is one
    output, each column one input channel. A kernel of a sequence is an image with a row for each channel, its taps along x.

    Args:
        model: a bp.Model with a convolution.
        layer: the name of a convolution, such as "0" or "3.inner.0"; default None, the first one.
        path: where to write the picture as well (PNG, PDF, SVG by its ending), default nowhere.

    Returns the matplotlib figure.

    Raises:
        ValueError: no convolution of this name. ImportError: matplotlib is missing.

    Example:
        >>> figure = bp.plots.filters(cnn)
    """
    name, module = convolution(model, layer)
    weight = np.array(module.view("weight"), np.float64)
    if isinstance(module, TransposedConvolution):
        weight = weight.swapaxes(0, 1)
    outputs, inputs = weight.shape[:2]
    weight = weight[:MOST_OUTPUTS, :MOST_INPUTS]
    parts = [
        f"first {most} of {of} {what} channels"
        for what, of, most in (("output", outputs, MOST_OUTPUTS), ("input", inputs, MOST_INPUTS))
        if of > most
    ]
    mosaic, labels = (_of_sequences if weight.ndim == 3 else _of_images)(weight)
    if module.groups > 1:
        parts.append("channels are those of a group")
    height, width = mosaic.picture.shape[:2]
    scale = min(0.04, 9 / max(height, width))
    size = (max(4.2, scale * width + 2.4), max(3.2, scale * height + 1.0))
    figure = new_figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    drawn = draw(axes, mosaic, SIGNED)
    for side, axis, (label, count) in zip((1, 0), (axes.xaxis, axes.yaxis), labels, strict=True):
        number_axis(axis, label, mosaic.centres(side, count))
    if mosaic.picture.ndim == 2:
        figure.colorbar(drawn, ax=axes, label="weight", shrink=0.8)
    set_title(axes, title(name, module, *parts), size[0] - 2.0)
    return saved(figure, path)


# Of each axis, x first: what it says, and how many things along it have numbers.
Labels = tuple[tuple[str, int], tuple[str, int]]


def _of_images(weight: np.ndarray) -> tuple[Mosaic, Labels]:
    """The mosaic of kernels (O, C, KH, KW)."""
    outputs, inputs = weight.shape[:2]
    if inputs == 1:
        return Mosaic.squared(weight[:, 0]), ((f"{outputs} output channels, row by row", 0), ("", 0))
    if inputs == 3:
        most = np.abs(weight).max() or 1.0
        colours = 0.5 + weight.transpose(0, 2, 3, 1) / (2 * most)
        label = (
            f"{outputs} output channels, row by row\nred, green and blue are the input channels; 0 is grey"
        )
        return Mosaic.squared(colours), ((label, 0), ("", 0))
    return Mosaic.of(weight), (("input channel", inputs), ("output channel", outputs))


def _of_sequences(weight: np.ndarray) -> tuple[Mosaic, Labels]:
    """The mosaic of kernels (O, C, K)."""
    outputs, inputs, taps = weight.shape
    if inputs == 1:
        return Mosaic.of(weight[None, None, :, 0]), (("tap", taps), ("output channel", outputs))
    label = f"{outputs} output channels, row by row; along x of each: {taps} taps"
    return Mosaic.squared(weight), ((label, 0), (f"along y of each: {inputs} input channels", 0))
