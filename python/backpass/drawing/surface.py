"""A surface as lines of equal height, with its minima and saddles."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .figure import new_figure, saved

# Heights whose largest is so many times the least are spread by their logarithm, from the largest down by at most FACTOR.
LOG_FROM, FACTOR = 20.0, 1e4
LEVELS = 16
Points = Sequence[tuple[float, float]]


def contours(
    steps: np.ndarray,
    heights: np.ndarray,
    minima: Points,
    saddles: Points,
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draw heights (P, P) over two directions: filled levels, their lines, marks at the origin, the minima and the saddles."""
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import LogLocator, MaxNLocator

    figure = new_figure(figsize=(6.8, 5.6), layout="constrained")
    axes = figure.subplots()
    known = np.ma.masked_invalid(heights)
    low, high = float(known.min()), float(known.max())
    log = low > 0 and high >= LOG_FROM * low
    if log:
        low = max(low, high / FACTOR)
    if not high > low:
        high = low + 1.0
    levels = (np.geomspace if log else np.linspace)(low, high, LEVELS)
    norm = (LogNorm if log else Normalize)(low, high)
    filled = axes.contourf(steps, steps, known, levels, norm=norm, extend="min", cmap="viridis")
    axes.contour(steps, steps, known, levels, colors="white", linewidths=0.5, alpha=0.6)
    bar = figure.colorbar(filled, ax=axes, label="loss", shrink=0.9)
    bar.locator = LogLocator(subs=(1, 2, 5)) if log else MaxNLocator(8)
    bar.formatter = "{x:.3g}"
    bar.minorticks_off()
    bar.update_ticks()
    marks: list[tuple[str, Points, dict[str, Any]]] = [
        (
            "the model's weights",
            [(0.0, 0.0)],
            {"marker": "x", "color": "#d55e00", "s": 90, "linewidths": 2.5},
        ),
        ("minimum", minima, {"marker": "o", "facecolor": "white", "edgecolor": "black", "s": 60}),
        ("saddle", saddles, {"marker": "D", "facecolor": "#f0e442", "edgecolor": "black", "s": 45}),
    ]
    for order, (label, points, style) in enumerate(marks):
        if points:
            along, across = zip(*points, strict=True)
            axes.scatter(along, across, label=label, zorder=5 - order, **style)
    axes.set_aspect("equal")
    axes.set_xlabel("along direction 1")
    axes.set_ylabel("along direction 2")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return saved(figure, path)
