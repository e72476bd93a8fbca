"""Parallel coordinates: an axis beside the other for each parameter and the score, a line across them for each trial."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import is_number
from .figure import new_figure, saved

# Numbers above 0 whose largest is so many times the least are spread by their logarithm.
LOG_FROM = 30.0
# More different values than these have no tick each.
MOST_TICKS = 12
MOST_LETTERS = 18


def parallel_coordinates(
    columns: Mapping[str, Sequence[Any]],
    score: str,
    scores: Sequence[float],
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draw trials as lines, the best on top in red, the others from dark (good) to light.

    columns: the values of each parameter, one for each trial, the best trial first; scores: theirs, less is better.
    """
    axes_of = [(name, *_spread(values)) for name, values in columns.items()] + [(score, *_spread(scores))]
    figure = new_figure(figsize=(max(5.0, 1.9 * len(axes_of)), 4.4), layout="constrained")
    axes = figure.subplots()
    places, count = np.array([heights for _, heights, _ in axes_of]), len(scores)
    for number in reversed(range(count)):
        shade = number / max(count - 1, 1)
        best = number == 0
        axes.plot(
            range(len(axes_of)),
            places[:, number],
            color="C3" if best else (0.15 + 0.65 * shade, 0.35 + 0.5 * shade, 0.6 + 0.32 * shade),
            linewidth=2.4 if best else 1.1,
            alpha=1.0 if best else 0.8,
        )
    for place, (_, _, ticks) in enumerate(axes_of):
        axes.axvline(place, color="0.25", linewidth=0.8, zorder=3)
        for height, text in ticks:
            axes.plot([place - 0.02, place + 0.02], [height, height], color="0.25", linewidth=0.8, zorder=3)
            axes.text(
                place + 0.04, height, text, va="center", fontsize="small", zorder=4,
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
    axes.set_xticks(range(len(axes_of)), [name for name, _, _ in axes_of])
    axes.set_yticks([])
    axes.set_title(f"{count} trial{'s' * (count != 1)}, the best in red", fontsize="medium")
    axes.set_xlim(-0.1, len(axes_of) - 1 + 0.45)
    axes.tick_params(axis="x", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return saved(figure, path)


# Where on an axis from 0 to 1 each value is; and its ticks.
Spread = tuple[list[float], list[tuple[float, str]]]


def _spread(values: Sequence[Any]) -> Spread:
    """Numbers by their size, all else side by side in the order of their text."""
    numbers = np.array(values, np.float64) if all(map(is_number, values)) else np.empty(0)
    if not len(numbers) or not np.isfinite(numbers).all():
        texts = [_short(value) for value in values]
        kinds = sorted({*texts})
        at = {text: (number + 0.5) / len(kinds) for number, text in enumerate(kinds)}
        step = -(-len(kinds) // MOST_TICKS)
        return [at[text] for text in texts], [(at[text], text) for text in kinds[::step]]
    low, high = float(numbers.min()), float(numbers.max())
    if low == high:
        return [0.5] * len(values), [(0.5, f"{low:.4g}")]
    log = low > 0 and high / low >= LOG_FROM
    few = sorted({*numbers.tolist()})
    if len(few) > 6:
        few = (np.geomspace if log else np.linspace)(low, high, 5).tolist()
    scaled = np.log if log else np.asarray

    def height(value: Any) -> Any:
        return (scaled(value) - scaled(low)) / (scaled(high) - scaled(low))

    return height(numbers).tolist(), [(float(height(value)), f"{value:.3g}") for value in few]


def _short(value: Any) -> str:
    text = getattr(value, "__name__", None) or str(value)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
