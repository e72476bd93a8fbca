"""A sweep over learning rates: the loss of each step, and where it falls most steeply."""

import os
from typing import Any

import numpy as np

from .curves import LEGEND
from .figure import new_figure, saved

# Losses beyond so many times the span of the smoothed ones up to their least are cut off: they diverge.
ROOM = 1.5


def rate_sweep(
    lrs: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    suggestion: float | None,
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draw losses over learning rates on a log axis, and a line at the suggestion."""
    figure = new_figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(lrs, losses, ".", color="0.6", markersize=4, label="loss of a batch")
    axes.plot(lrs, smoothed, color="C0", linewidth=2, label="smoothed")
    if suggestion is not None:
        height = float(np.interp(np.log(suggestion), np.log(lrs), smoothed))
        axes.axvline(suggestion, color="C1", linestyle="--", linewidth=1.2)
        axes.plot([suggestion], [height], "o", color="C1", label=f"falls most steeply: {suggestion:.2g}")
    low, first = float(smoothed.min()), float(smoothed[: max(len(smoothed) // 4, 1)].max())
    span = (first - low) or abs(low) or 1.0
    high = min(float(max(losses.max(), smoothed.max())), low + (1 + ROOM) * span)
    axes.set_ylim(min(low, float(losses.min())) - 0.08 * span, high + 0.08 * span)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    axes.legend(**LEGEND, loc="best")
    return saved(figure, path)
