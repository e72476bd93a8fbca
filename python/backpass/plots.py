"""Learning curves with matplotlib: one panel for the losses, one for the accuracies if there are any."""

from typing import Any

from .history import History

PANELS = (("loss", "loss", 1.0), ("accuracy", "accuracy [%]", 100.0))  # quantity, axis label, factor


def learning_curves(histories: dict[str, History], path: str | None = None) -> Any:
    """Draw the histories of several runs, by label: training solid, validation dashed, one colour for each run.

    path: where to write the picture as well (PNG, PDF, SVG by its ending). Returns the matplotlib figure, which belongs to no
    window: a notebook shows it, a script saves it.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise ImportError(
            f'learning curves need matplotlib ({error}): pip install "backpass[plot]"'
        ) from None
    if not any(history.epoch for history in histories.values()):
        raise ValueError("histories hold no epoch, so there is nothing to plot")
    panels = [panel for panel in PANELS if any(_has(history, panel[0]) for history in histories.values())]
    figure = Figure(figsize=(5.6 * len(panels), 4.2), layout="constrained")
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


def _has(history: History, quantity: str) -> bool:
    return quantity in history.history or f"val_{quantity}" in history.history
