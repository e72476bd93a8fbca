"""Learning curves, and the norms of gradients."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .figure import new_figure, saved

# No line of the grid runs through the text of a legend.
LEGEND = {"framealpha": 0.9, "edgecolor": "none"}
MOST_ROWS_OF_LEGEND = 22
PERCENT = ("accuracy",)
COLUMNS_OF_PANELS = 3
RATE = "lr"
# A learning rate that falls by so much is drawn on a log scale.
LOG_FROM = 10.0
# Of one run: the epochs, and the values of each quantity by name.
Curves = tuple[Sequence[int], Mapping[str, Sequence[float]]]


def learning_curves(histories: Mapping[str, Curves], path: str | os.PathLike[str] | None = None) -> Any:
    """Draw the histories of several runs, by label: training solid, validation dashed, one colour for each run (for each of the
    two where there is one run). The first panel is the loss; each metric has one, and so has a learning rate that changes.

    path: where to write the picture as well (PNG, PDF, SVG by its ending). Returns the matplotlib figure, which belongs to no
    window: a notebook shows it, a script saves it.
    """
    names = [
        name.removeprefix("val_")
        for _, history in histories.values()
        for name, values in history.items()
        if values
    ]
    panels = [name for name in dict.fromkeys(["loss", "accuracy", *names]) if name in names and name != RATE]
    if not panels:
        raise ValueError("histories hold no epoch, so there is nothing to plot")
    panels += [RATE] * any(len({*history.get(RATE, ())}) > 1 for _, history in histories.values())
    columns = min(len(panels), COLUMNS_OF_PANELS)
    rows = -(-len(panels) // columns)
    figure = new_figure(figsize=(5.6 * columns, 4.2 * rows), layout="constrained")
    for number, quantity in enumerate(panels):
        _panel(figure.add_subplot(rows, columns, number + 1), quantity, histories)
    return saved(figure, path)


def _panel(axes: Any, quantity: str, histories: Mapping[str, Curves]) -> None:
    """One quantity of all runs."""
    factor = 100.0 if quantity in PERCENT else 1.0
    for number, (run, (epochs, history)) in enumerate(histories.items()):
        for second, (name, style, face) in enumerate(
            (("training", "-", None), ("validation", "--", "white"))
        ):
            if values := history.get(f"val_{quantity}" if second else quantity):
                single = len(values) == 1
                axes.plot(
                    [epoch + 1 for epoch in epochs[: len(values)]],
                    [factor * value for value in values],
                    linestyle="" if single else style,
                    marker="o" if single else "",
                    markerfacecolor=face,
                    color=f"C{number if len(histories) > 1 else second}",
                    # Equal curves lie in each other: all are seen.
                    linewidth=0.6 + len(histories) - number,
                    alpha=0.85,
                    label=run if quantity == RATE else f"{run}, {name}" if run else name,
                )
    axes.set_xlabel("epoch")
    axes.set_ylabel(
        f"{quantity} [%]" if quantity in PERCENT else "learning rate" if quantity == RATE else quantity
    )
    _whole_numbers(axes)
    if quantity == RATE:
        rates = [rate for _, history in histories.values() for rate in history.get(RATE, ())]
        if min(rates) > 0 and max(rates) >= LOG_FROM * min(rates):
            axes.set_yscale("log")
    # A single curve that is neither training nor validation needs no name.
    if quantity != RATE or len(histories) > 1:
        axes.legend(**LEGEND)


def _whole_numbers(axes: Any) -> None:
    """A grid, and along x no half epoch or step."""
    from matplotlib.ticker import MaxNLocator

    low, high = axes.get_xlim()
    if high - low < 1:  # a single one
        axes.set_xlim(low - 0.5, high + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)


def gradient_norms(records: Mapping[str, Any], path: str | os.PathLike[str] | None = None) -> Any:
    """Draw what a GradientMonitor recorded: the norm of each layer's gradient over the steps, on a log scale.

    records: "steps", "layers", "shown" and "norms", the fields of diagnostics.health.Records.
    """
    steps, layers, shown = records["steps"], records["layers"], records["shown"]
    figure = new_figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    norms, single = np.array(records["norms"]), len(steps) == 1
    norms[~(np.isfinite(norms) & (norms > 0))] = np.nan  # no place on a log scale
    for number, layer in enumerate(layers):
        shade = number / max(len(layers) - 1, 1)
        axes.plot(
            steps,
            norms[:, number],
            marker="o" if single else "",
            linestyle="" if single else "-",
            color=(0.9 * (1 - shade), 0.25, 0.9 * shade),
            linewidth=1.4,
            label=f"{layer} {shown[number]}",
        )
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("gradient norm, before clipping")
    _whole_numbers(axes)
    columns = -(-len(layers) // MOST_ROWS_OF_LEGEND)
    axes.legend(
        title="layer",
        fontsize="x-small",
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        ncols=columns,
        frameon=False,
    )
    longest = max(len(line.get_label()) for line in axes.lines)
    figure.set_figwidth(5.6 + columns * (0.6 + 0.065 * longest))
    return saved(figure, path)
