"""The text of an Explanation."""

import numpy as np

from .node import Node, Step, symbol
from .numbers import FEW, Summary, number_text, shape_text, table

WIDTH = 30


def report(step: Step) -> str:
    """One part for each node, in the order of the forward pass; at the end what was left out."""
    left = LeftOut()
    rows = f"{step.rows} row" + ("s" if step.rows > 1 else "")
    head = f"One step of backpropagation: {rows}, loss {number_text(step.loss)}\n{step.setting}"
    parts = ["\n".join(_lines(node, step.detail, left)) for node in step.nodes]
    return "\n\n".join([head, *parts, *left.said()])


class LeftOut:
    """Counts the arrays that are summed up in words."""

    def __init__(self) -> None:
        self.arrays = self.numbers = 0

    def said(self) -> list[str]:
        """The last part of the text."""
        if not self.arrays:
            return []
        text = f"Left out: {self.numbers:,} numbers of {self.arrays} arrays, of which summaries stand here."
        return [f"{text}\nto_dict() has them all; detail='numbers' prints them."]


def _lines(node: Node, detail: str, left: LeftOut) -> list[str]:
    head = f"{node.name}  {node.shown}".rstrip()
    lines = [head, *(f"  {said}" for said in (node.formula, node.note) if said)]
    for _, title, array in node.arrays():
        lines += _array(title, array, detail, left)
    for key, weight in node.weights.items():
        w = symbol(key)
        lines += _array(key, weight.value, detail, left)
        if weight.gradient is None:
            lines.append("  " + f"  gradient, dL/d{w}".ljust(WIDTH) + "none: frozen")
            continue
        lines += _array(f"  gradient, dL/d{w}", weight.gradient, detail, left)
        lines += _array(f"  update, taken off {w}", weight.update, detail, left)
        lines += _array(f"  {w} after the step", weight.value - weight.update, detail, left)
    return lines


def _array(title: str, array: np.ndarray, detail: str, left: LeftOut) -> list[str]:
    if detail == "numbers" or (detail == "auto" and array.size <= FEW):
        shape = f" ({shape_text(array.shape)})" if array.ndim > 2 else ""
        first, *rest = table(array) or [""]
        return ["  " + (title + shape).ljust(WIDTH) + first, *("  " + " " * WIDTH + line for line in rest)]
    left.arrays += 1
    left.numbers += array.size
    return ["  " + title.ljust(WIDTH) + str(Summary.of(array))]
