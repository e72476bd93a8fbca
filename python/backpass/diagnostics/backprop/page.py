"""The page of an Explanation: HTML that needs nothing but a browser. Its numbers are JSON within, and page.js shows them."""

import html
import json
from importlib.resources import files
from typing import Any

import numpy as np

from .node import Chain, Node, Step, symbol
from .numbers import PAGE, Summary, number_text

# Numbers in all on a page; beyond these, arrays are summed up as well.
MOST = 200_000
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(step: Step) -> str:
    """The page as text."""
    folder = files(__package__)
    style, graph, chain, script = (
        (folder / name).read_text("utf-8") for name in ("page.css", "graph.js", "chain.js", "page.js")
    )
    # A "<" could end the script.
    data = json.dumps(_payload(step), allow_nan=False).replace("<", "\\u003c")
    title = f"One step of backpropagation: loss {number_text(step.loss)}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{html.escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<main id="page"><noscript>This page shows its numbers by a script within it.</noscript></main>
<script type="application/json" id="step">{data}</script>
<script>
{graph}{chain}{script}</script>
</body>
</html>
"""


def _payload(step: Step) -> dict[str, Any]:
    room = _Room(step.detail)
    nodes = [_node(node, room) for node in step.nodes]
    left = {"arrays": room.arrays, "numbers": f"{room.left:,}"}
    return {"rows": step.rows, "loss": step.loss, "setting": step.setting, "nodes": nodes, "left": left}


class _Room:
    """Gives numbers as long as there is room for them; counts what was left out."""

    def __init__(self, detail: str) -> None:
        self.most = 0 if detail == "summary" else MOST
        self.arrays = self.left = 0

    def numbers(self, array: np.ndarray) -> list[Any] | None:
        """The numbers in one row; None where there are too many."""
        if array.size > min(PAGE, self.most):
            return None
        self.most -= array.size
        values = array.ravel().tolist()
        # JSON knows no NaN.
        return [value if np.isfinite(value) else str(value) for value in values]

    def array(self, title: str, array: np.ndarray) -> dict[str, Any]:
        """What the page knows of an array."""
        found: dict[str, Any] = {"title": title, "shape": array.shape, "numbers": self.numbers(array)}
        if found["numbers"] is None:
            self.arrays, self.left = self.arrays + 1, self.left + array.size
            found["summary"] = str(Summary.of(array))
        return found


def _node(node: Node, room: _Room) -> dict[str, Any]:
    arrays = [room.array(title, array) | {"key": key} for key, title, array in node.arrays()]
    weights = [
        {
            "key": key, "symbol": symbol(key), "frozen": weight.gradient is None, "value": room.array(key, weight.value),
            "gradient": None if weight.gradient is None else room.array(f"gradient, dL/d{symbol(key)}", weight.gradient),
            "update": room.array(f"update, taken off {symbol(key)}", weight.update),
        }
        for key, weight in node.weights.items()
    ]  # fmt: skip
    return {
        "name": node.name, "kind": node.kind, "shown": node.shown, "formula": node.formula, "note": node.note,
        "sources": node.sources,
        "arrays": arrays, "weights": weights, "linear": node.linear, "chain": node.chain and _chain(node.chain, room),
    }  # fmt: skip


def _chain(chain: Chain, room: _Room) -> dict[str, Any] | None:
    """The factors, if all of their numbers find room."""
    if chain.x.size > PAGE or any(factor.values.size > PAGE for factor in chain.factors):
        return None
    x = room.numbers(chain.x)
    factors = [{"label": f.label, "numbers": room.numbers(f.values)} for f in chain.factors]
    if x is None or any(factor["numbers"] is None for factor in factors):
        return None
    rows, inputs = chain.x.shape
    units = chain.factors[0].values.shape[1]
    return {
        "factors": factors,
        "x": x,
        "rows": rows,
        "inputs": inputs,
        "units": units,
        "next": chain.next,
        "uses": chain.uses,
    }
