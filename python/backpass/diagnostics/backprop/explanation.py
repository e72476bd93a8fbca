"""Explanation: one step of backpropagation with every number, as text, as a dict of arrays and as a page."""

import html
from os import PathLike
from typing import Any

import numpy as np

from ...checks import as_path
from ..text import Text
from .node import Step
from .page import page
from .report import report


class Explanation(Step):
    """One step of backpropagation, as bp.explain returns it.

    Attributes:
        loss: the loss of the batch.
        rows: how many rows the batch has.
        nodes: inputs, layers, operations between layers and the loss, in the order of the forward pass.
        setting: loss, optimizer and backend in words.
        detail: "auto", "numbers" or "summary", as it was asked for.

    `str` gives the text, `step["0"]` the arrays of one layer.

    Example:
        >>> step = bp.explain(model, X[:5], y[:5])
        >>> sorted(step["1"])
        ['arriving', 'input', 'leaving', 'output', 'slope']
    """

    def to_dict(self) -> dict[str, dict[str, np.ndarray]]:
        """All arrays, by the name of the layer ("loss" and the inputs among them), then by what they are.

        "input", "output", "slope" (dy/dx of functions element by element), "arriving" (dL/dy), "leaving" (dL/dx); of a
        parameter such as `weight`: "weight" before the step, "dweight" and "weight_update".
        """
        return {node.name: node.as_dict() for node in self.nodes}

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """A page that needs nothing but a browser: the graph, and for each weight that is clicked its chain of factors.

        Args:
            path: where to write the page as well, default nowhere.

        Raises:
            OSError: the file cannot be written. TypeError: path is no path.
        """
        text = page(self)
        if path is not None:
            with open(as_path("path", path), "w", encoding="utf-8") as file:
                file.write(text)
        return text

    def _repr_html_(self) -> str:
        # A frame: pages in one notebook share no names.
        return f'<iframe srcdoc="{html.escape(self.to_html())}" style="width: 100%; height: 44em; border: 0"></iframe>'

    def __str__(self) -> str:
        return report(self)

    def __repr__(self) -> str:
        return repr(Text(self))

    def __getitem__(self, name: Any) -> dict[str, np.ndarray]:
        found = self.to_dict()
        if name not in found:
            raise KeyError(f"{name!r:.80}, expected one of {[*found]!r:.200}")
        return found[name]
