"""Pictures with matplotlib: learning curves, and the norms of gradients."""

from typing import Any

import numpy as np

from .history import History
from .runs import Run

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
                        linewidth=1.6,
                        alpha=0.85,
                        label=f"{run}, {name}" if run else name,
                    )
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def gradient_norms(run: Run | None, path: str | None = None) -> Any:
    """Draw what the GradientMonitor of a run recorded: the norm of each layer's gradient over the steps, on a log scale."""
    from .health import Records

    states = run.as_it_stands(False).states if run else []
    found = [state for name, state in states if name == "GradientMonitor" and state]
    if not found:
        raise ValueError(
            "no gradients were recorded: train with callbacks=[bp.GradientMonitor()] before plot_gradients()"
        )
    records = Records(**found[0])
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
    axes.set_ylabel("gradient norm")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _matplotlib() -> Any:
    """The class Figure; ImportError says what to install."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'plots need matplotlib ({error}): pip install "backpass[plot]"') from None
    return Figure


def _has(history: History, quantity: str) -> bool:
    return quantity in history.history or f"val_{quantity}" in history.history
