"""Pictures with matplotlib: learning curves, and the norms of gradients."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import as_path
from .history import History

if TYPE_CHECKING:
    from .health import Records

LEGEND = {"framealpha": 0.9, "edgecolor": "none"}  # no line of the grid runs through its text
ROWS = 22  # of a legend
PANELS = (("loss", "loss", 1.0), ("accuracy", "accuracy [%]", 100.0))  # quantity, axis label, factor


def learning_curves(histories: dict[str, History], path: str | None = None) -> Any:
    """Draw the histories of several runs, by label: training solid, validation dashed, one colour for each run.

    path: where to write the picture as well (PNG, PDF, SVG by its ending). Returns the matplotlib figure, which belongs to no
    window: a notebook shows it, a script saves it.
    """
    new_figure = _matplotlib()
    from matplotlib.ticker import MaxNLocator

    if not any(history.epoch for history in histories.values()):
        raise ValueError("histories hold no epoch, so there is nothing to plot")
    panels = [panel for panel in PANELS if any(_has(history, panel[0]) for history in histories.values())]
    figure = new_figure(figsize=(5.6 * len(panels), 4.2), layout="constrained")
    for axes, (quantity, label, factor) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        for number, (run, history) in enumerate(histories.items()):
            for prefix, name, style in (("", "training", "-"), ("val_", "validation", "--")):
                if values := history.history.get(prefix + quantity):
                    epochs = [epoch + 1 for epoch in history.epoch[-len(values) :]]
                    axes.plot(
                        epochs,
                        [factor * value for value in values],
                        linestyle=style,
                        marker="o" if len(values) == 1 else "",
                        color=f"C{number}",
                        linewidth=0.6
                        + len(histories)
                        - number,  # equal curves lie in each other: all are seen
                        alpha=0.85,
                        label=f"{run}, {name}" if run else name,
                    )
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(**LEGEND)
    return _saved(figure, path)


def gradient_norms(records: "Records", path: str | None = None) -> Any:
    """Draw what a GradientMonitor recorded: the norm of each layer's gradient over the steps, on a log scale."""
    figure = _matplotlib()(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    norms = np.array(records.norms)
    norms[~(np.isfinite(norms) & (norms > 0))] = np.nan  # no place on a log scale
    for at, layer in enumerate(records.layers):
        shade = at / max(len(records.layers) - 1, 1)
        axes.plot(
            records.steps,
            norms[:, at],
            marker="o" if len(records.steps) == 1 else "",
            color=(0.9 * (1 - shade), 0.25, 0.9 * shade),
            linewidth=1.4,
            label=f"{layer} {records.shown[at]}",
        )
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("gradient norm, before clipping")
    axes.grid(alpha=0.3)
    columns = -(-len(records.layers) // ROWS)
    axes.legend(
        title="layer",
        fontsize="x-small",
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        ncols=columns,
        frameon=False,
    )
    figure.set_figwidth(6.3 + 1.2 * columns)
    return _saved(figure, path)


def _matplotlib() -> Any:
    """The class Figure; ImportError says what to install."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'plots need matplotlib ({error}): pip install "backpass[plot]"') from None
    return Figure


def _saved(figure: Any, path: str | None) -> Any:
    """The figure, which is written to `path` as well, where that says one."""
    if path is not None:
        figure.savefig(as_path("path", path), dpi=150)
    return figure


def _has(history: History, quantity: str) -> bool:
    return quantity in history.history or f"val_{quantity}" in history.history
