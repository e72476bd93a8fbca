"""A matplotlib figure that belongs to no window, and that a notebook shows all the same."""

import io

from matplotlib.figure import Figure


class Picture(Figure):
    """What `history.plot()` and its like return."""

    def _repr_png_(self) -> bytes:
        """IPython asks for this unless pyplot has drawn in the notebook before: then it knows how to show a figure itself."""
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=100)
        return file.getvalue()
