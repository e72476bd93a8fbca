"""What a file says of its network, in plain values: nothing of the onnx package is needed once it is read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

# Before the name of an operator whose weights are arranged as nn has them.
OURS = "backpass."


class Node(NamedTuple):
    """One operator: names of the values that it reads ("" for one that is absent) and gives."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    # Numbers, strings, arrays and lists of such, by name.
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        return f"node {self.name or self.outputs[0]!r} ({self.op.removeprefix(OURS)})"


class Input(NamedTuple):
    """An input of the network: its name, whether it holds indices, and its sizes; None for one that may be any."""

    name: str
    integers: bool
    sizes: tuple[int | None, ...]


class Description(NamedTuple):
    """A network: its nodes in the order in which they compute."""

    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    arrays: dict[str, np.ndarray]
    # The names of the arrays that are learned; None where the file does not say.
    learned: frozenset[str] | None
    dtype: str


def needed(nodes: Sequence[Node], outputs: Iterable[str]) -> list[Node]:
    """The nodes of which an output comes."""
    names, found = {*outputs}, []
    for node in reversed(nodes):
        if names & {*node.outputs}:
            names |= {*node.inputs}
            found.append(node)
    return found[::-1]
