"""Node: an input, a layer, operations between layers or the loss, with all numbers of one step."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

KEYS = ("input", "output", "slope", "arriving", "leaving")
# What these are called, by the kind of node.
TITLES = {
    "input": ("", "value, x", "", "gradient arriving, dL/dx", ""),
    "layer": ("input, x", "output, y", "local slope, dy/dx", "gradient arriving, dL/dy", "gradient leaving, dL/dx"),
    "loss": ("prediction, p", "loss, L", "", "", "gradient leaving, dL/dp"),
}  # fmt: skip


def symbol(key: str) -> str:
    """What formulas call a parameter: b a bias, w all others."""
    return "b" if "bias" in key else "w"


class Weight(NamedTuple):
    """A parameter before the step, its gradient, and what the optimizer takes away from it."""

    value: np.ndarray
    # None where it is frozen.
    gradient: np.ndarray | None
    update: np.ndarray


class Factor(NamedTuple):
    """One factor of dL/dw: its name, and a number for each row and unit."""

    label: str
    values: np.ndarray


class Chain(NamedTuple):
    """What dL/dw of a linear layer is made of: over rows, the product of the factors of a unit and an input of the layer."""

    # First what arrives, then local slopes.
    factors: list[Factor]
    # (rows, inputs)
    x: np.ndarray
    # The linear layer behind it, whose dL/dy times its weights arrive here; -1 where the loss follows, or anything else.
    next: int
    # How often the weight is used in the network: the factors are those of this use alone.
    uses: int


@dataclass(eq=False)
class Node:
    """One box of the graph. Arrays are by what they belong to: "" where there is one, else "[0]" or "['name']"."""

    name: str
    # "input", "layer", "operations" or "loss".
    kind: str
    shown: str
    formula: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    arriving: dict[str, np.ndarray]
    leaving: dict[str, np.ndarray]
    # Of the loss.
    targets: dict[str, np.ndarray] = field(default_factory=dict)
    # Of functions element by element f'(x).
    slope: np.ndarray | None = None
    # Numbers of the nodes that the inputs come from.
    sources: list[int] = field(default_factory=list)
    weights: dict[str, Weight] = field(default_factory=dict)
    chain: Chain | None = None
    linear: bool = False
    # The name of the layer that it belongs to; of operations, the parts of parameters that they read.
    home: str | None = None
    reads: list[np.ndarray] = field(default_factory=list)

    @property
    def note(self) -> str:
        """What the local slopes of a linear layer are: they stand there already."""
        return "local slopes: dy/dx = weight, dy/dw = x, dy/db = 1" if self.linear else ""

    def arrays(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """(key, title, array) of all but the weights, in the order in which a step computes them."""
        slope = {} if self.slope is None else {"": self.slope}
        if self.targets:
            yield from (
                (f"target{label}", f"target{label}, t", array) for label, array in self.targets.items()
            )
        groups = (self.inputs, self.outputs, slope, self.arriving, self.leaving)
        for key, title, named in zip(KEYS, TITLES.get(self.kind, TITLES["layer"]), groups, strict=True):
            name, comma, symbol = title.partition(",")
            yield from ((key + label, name + label + comma + symbol, array) for label, array in named.items())

    def as_dict(self) -> dict[str, np.ndarray]:
        """All arrays by key."""
        found = {key: array for key, _, array in self.arrays()}
        for key, weight in self.weights.items():
            found[key] = weight.value
            if weight.gradient is not None:
                found[f"d{key}"] = weight.gradient
            found[f"{key}_update"] = weight.update
        return found


@dataclass
class Step:
    """One step: its nodes in the order of the forward pass, and what it was."""

    nodes: list[Node]
    loss: float
    rows: int
    # Loss, optimizer and backend in words.
    setting: str
    detail: str
