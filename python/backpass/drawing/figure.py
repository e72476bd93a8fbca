"""Figures that belong to no window: made, shown in notebooks, written to files."""

import io
import os
from typing import Any

from ..checks import as_path


def new_figure(**options: Any) -> Any:
    """A figure; ImportError says what to install."""
    make = globals().get("Picture") or __getattr__("Picture")
    return make(**options)


def saved(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    """The figure, which is written to `path` as well, where that says one."""
    if path is not None:
        figure.savefig(as_path("path", path), dpi=150)
    return figure


def __getattr__(name: str) -> Any:
    """`Picture`, a matplotlib figure that belongs to no window: made at first use, for matplotlib takes long to import."""
    if name != "Picture":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'plots need matplotlib ({error}): pip install "backpass[plot]"') from None

    class Picture(Figure):
        """What `history.plot()` and its like return: a notebook shows it all the same."""

        __qualname__ = "Picture"

        def _repr_png_(self) -> bytes:
            """IPython asks for this unless pyplot has drawn in the notebook before: then it knows how to show a figure itself."""
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=100)
            return file.getvalue()

    globals()["Picture"] = Picture
    return Picture
